//! Solvers: programs in container images, and the adapters that understand what they say and write.
//!
//! Pure: an adapter is handed text and files and answers plain data. It starts nothing and waits for nothing; that is
//! `container`'s work.

mod adapter;
mod calculix;
mod catalogue;
mod code_aster;
mod plain;
mod registry;

pub use adapter::{Adapter, Conclusion, Ended, Folder, Prepared, Reader, Stopped, Study};
pub use calculix::CalculiX;
pub use catalogue::{
    AdapterKind, Catalogue, CatalogueError, Solver, SolverVersion, Toolchain, is_solver_name, is_solver_version,
    version_name,
};
pub use code_aster::CodeAster;
pub use plain::Plain;
pub use registry::Solvers;
