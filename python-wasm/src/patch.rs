//! Applies the recipe's patches to the interpreter's module, after checking what stands there.

use crate::{BuildError, recipe::Patch};

/// Replaces bytes in place; the module's length and every index in it stay as they are.
pub(crate) fn apply(module: &mut [u8], patches: &[Patch]) -> Result<(), BuildError> {
    for patch in patches {
        let fail = || BuildError::Patch { offset: patch.offset, why: patch.why.clone() };
        let expect = bytes_of(&patch.expect).ok_or_else(fail)?;
        let replace = bytes_of(&patch.replace).ok_or_else(fail)?;
        let end = patch.offset.checked_add(expect.len()).ok_or_else(fail)?;
        let target = module.get_mut(patch.offset..end).ok_or_else(fail)?;
        if target != expect || replace.len() != expect.len() {
            return Err(fail());
        }
        target.copy_from_slice(&replace);
    }
    Ok(())
}

fn bytes_of(hexadecimal: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hexadecimal.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(offset: usize, expect: &str, replace: &str) -> Patch {
        Patch { offset, expect: expect.into(), replace: replace.into(), why: "a test".into() }
    }

    #[test]
    fn a_patch_replaces_what_it_expects_and_nothing_else() {
        let mut module = [0x41, 0x07, 0x0b];
        apply(&mut module, &[patch(0, "4107", "4109")]).unwrap();
        assert_eq!(module, [0x41, 0x09, 0x0b]);
        for refused in
            [patch(0, "4107", "4109"), patch(2, "0b0b", "0c0c"), patch(0, "41", "4109"), patch(0, "4x", "41")]
        {
            assert!(apply(&mut module, &[refused]).is_err());
            assert_eq!(module, [0x41, 0x09, 0x0b]);
        }
    }
}
