//! What a module may hold. Each bounds the memory or the time that checking, compiling or loading it can take.
//!
//! Compilers of C, C++, Rust, Fortran and Go stay far below them; modules made to break a compiler don't.

/// A whole module, bytes.
pub const MODULE_BYTES_MAX: usize = 32 << 20;
/// Entries of the type section.
pub const TYPES_MAX: usize = 10_000;
/// Functions that the module defines.
pub const FUNCTIONS_MAX: usize = 50_000;
pub const IMPORTS_MAX: usize = 100;
/// Functions that a component imports.
pub const COMPONENT_IMPORTS_MAX: usize = 500;
/// Imports of one core module in a component, which the component itself provides.
pub const INNER_IMPORTS_MAX: usize = 1_000;
pub const EXPORTS_MAX: usize = 2_000;
/// Name of an import or an export, bytes.
pub const NAME_BYTES_MAX: usize = 1_000;
/// Parameters of one function.
pub const PARAMETERS_MAX: usize = 128;
/// Results of one function.
pub const RESULTS_MAX: usize = 32;
/// Locals of one function, parameters apart.
pub const LOCALS_MAX: usize = 20_000;
/// Code of one function, bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Blocks within blocks in one function.
pub const BLOCK_DEPTH_MAX: usize = 5_000;
/// Values that a block takes and yields.
pub const BLOCK_VALUES_MAX: usize = 32;
/// Targets of all `br_table` instructions of one function.
pub const BRANCH_TARGETS_MAX: usize = 20_000;
/// Targets of all `br_table` instructions of the module.
pub const BRANCH_TARGETS_TOTAL_MAX: usize = 1_000_000;
/// Clauses of one `try_table`.
pub const CATCHES_MAX: usize = 100;
/// Arguments and results of all calls of the module.
pub const CALL_VALUES_TOTAL_MAX: usize = 200_000_000;
pub const TABLES_MAX: usize = 8;
/// Elements of all tables when the module starts.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;
pub const ELEMENT_SEGMENTS_MAX: usize = 10_000;
/// Items of all element segments.
pub const ELEMENT_ITEMS_MAX: usize = 200_000;
pub const GLOBALS_MAX: usize = 10_000;
pub const TAGS_MAX: usize = 100;
pub const DATA_SEGMENTS_MAX: usize = 10_000;
/// One constant expression (of a global, a segment's offset, …), bytes.
pub const CONSTANT_BYTES_MAX: usize = 1_024;
/// Linear memory before the first instruction, pages of 64 KiB.
pub const MEMORY_START_PAGES_MAX: usize = 32_768;
/// Custom sections together, above which their author is told that they are ignored, bytes.
pub const CUSTOM_BYTES_QUIET_MAX: usize = 256 << 10;

/// Core modules in a component. Compilers make up to four of one program.
pub const CORE_MODULES_MAX: usize = 16;
/// Core modules that a component instantiates.
pub const CORE_INSTANCES_MAX: usize = 16;
/// Components in a component, which rename and no more.
pub const COMPONENTS_MAX: usize = 20;
/// Entries of a component's sections of one kind (instances, aliases, functions, types), all of them together.
pub const COMPONENT_ITEMS_MAX: usize = 20_000;
/// A component's types, bytes.
pub const COMPONENT_TYPE_BYTES_MAX: usize = 1 << 20;
