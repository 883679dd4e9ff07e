//! Validates one function's code instruction by instruction, and counts what would make it dear to compile.

use super::Refused;
use super::counters::{Counter, at_most};
use super::limits;
use wasmparser::{
    BlockType, FuncToValidate, FuncType, FuncValidator, FuncValidatorAllocations, FunctionBody, Operator,
    ValidatorResources,
};

/// What is carried from one function to the next.
pub(super) struct Bodies {
    allocations: FuncValidatorAllocations,
    branch_targets: Counter,
    call_values: Counter,
}

/// The types that calls and blocks refer to, by index.
pub(super) struct Signatures<'a> {
    pub(super) types: &'a [Option<FuncType>],
    /// Type index of each function, imported ones first.
    pub(super) functions: &'a [u32],
}

impl Bodies {
    pub(super) fn new() -> Self {
        Self {
            allocations: FuncValidatorAllocations::default(),
            branch_targets: Counter::new("br_table targets", limits::BRANCH_TARGETS_TOTAL_MAX),
            call_values: Counter::new("arguments and results of calls", limits::CALL_VALUES_TOTAL_MAX),
        }
    }

    pub(super) fn check(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        signatures: &Signatures<'_>,
    ) -> Result<(), Refused> {
        at_most("bytes in one function", body.range().len() as u64, limits::BODY_BYTES_MAX)?;
        let mut locals = Counter::new("locals in one function", limits::LOCALS_MAX);
        for group in body.get_locals_reader()? {
            locals.add(u64::from(group?.0))?;
        }
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        validator.read_locals(&mut body.get_binary_reader())?;
        let mut targets = Counter::new("br_table targets in one function", limits::BRANCH_TARGETS_MAX);
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            self.count(&operator, &validator, signatures, &mut targets)?;
            validator.op(offset, &operator)?;
        }
        operators.finish()?;
        self.allocations = validator.into_allocations();
        Ok(())
    }

    fn count(
        &mut self,
        operator: &Operator<'_>,
        validator: &FuncValidator<ValidatorResources>,
        signatures: &Signatures<'_>,
        targets: &mut Counter,
    ) -> Result<(), Refused> {
        match operator {
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                block(*blockty, validator, signatures)
            }
            Operator::TryTable { try_table } => {
                at_most("clauses in one try_table", try_table.catches.len() as u64, limits::CATCHES_MAX)?;
                block(try_table.ty, validator, signatures)
            }
            Operator::BrTable { targets: table } => {
                targets.add(u64::from(table.len()))?;
                self.branch_targets.add(u64::from(table.len()))
            }
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                let type_index = signatures.functions.get(*function_index as usize).copied();
                self.call_values.add(type_index.map_or(0, |index| signatures.values(index)))
            }
            Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => {
                self.call_values.add(signatures.values(*type_index))
            }
            _ => Ok(()),
        }
    }
}

impl Signatures<'_> {
    /// Parameters and results of a function type; none where there is no such type, which validation will say.
    fn values(&self, type_index: u32) -> u64 {
        let ty = self.types.get(type_index as usize).and_then(Option::as_ref);
        ty.map_or(0, |ty| (ty.params().len() + ty.results().len()) as u64)
    }
}

fn block(
    ty: BlockType,
    validator: &FuncValidator<ValidatorResources>,
    signatures: &Signatures<'_>,
) -> Result<(), Refused> {
    at_most("blocks within blocks", u64::from(validator.control_stack_height()), limits::BLOCK_DEPTH_MAX)?;
    match ty {
        BlockType::FuncType(index) => {
            at_most("values of one block", signatures.values(index), limits::BLOCK_VALUES_MAX)
        }
        BlockType::Empty | BlockType::Type(_) => Ok(()),
    }
}
