//! Finds a number that JSON has no form for in a value about to be written.
//!
//! `serde_json` writes null for NaN and infinities: whoever reads that would take it for a result.

use crate::{Error, Result, input::pointer_part};
use serde::{
    Serialize,
    ser::{self, Serializer},
};
use std::fmt::{self, Display};

/// Fails with the JSON pointer of the first number that is not finite.
pub(crate) fn check(value: &impl Serialize) -> Result<()> {
    value.serialize(Finite).map_err(|fault| match fault.number {
        Some(number) => {
            let pointer: String = fault.inside_out.iter().rev().map(|part| format!("/{part}")).collect();
            Error::output(format!("{pointer} of the result is {number}, which JSON can't hold"))
        }
        None => Error::output(format!("the result can't be written as JSON: {}", fault.message)),
    })
}

#[derive(Debug)]
struct Fault {
    number: Option<f64>,
    message: String,
    /// Keys and indices from the number outwards.
    inside_out: Vec<String>,
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl ser::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self { number: None, message: message.to_string(), inside_out: Vec::new() }
    }
}

type Checked = std::result::Result<(), Fault>;

/// Looks at every number and writes nothing.
struct Finite;

/// The parts of a list or an object.
struct Parts {
    next: usize,
    key: String,
    /// The name of the enum's variant that holds them.
    variant: Option<&'static str>,
}

impl Parts {
    fn of(variant: Option<&'static str>) -> std::result::Result<Self, Fault> {
        Ok(Self { next: 0, key: String::new(), variant })
    }

    fn look<T: Serialize + ?Sized>(&self, part: &str, value: &T) -> Checked {
        value.serialize(Finite).map_err(|mut fault| {
            fault.inside_out.push(pointer_part(part));
            fault.inside_out.extend(self.variant.map(pointer_part));
            fault
        })
    }

    fn look_next<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
        self.next += 1;
        self.look(&(self.next - 1).to_string(), value)
    }
}

/// Values without numbers that could be at fault.
macro_rules! harmless {
    ($($name:ident($($type:ty),*))*) => {
        $(fn $name(self, $(_: $type),*) -> Checked { Ok(()) })*
    };
}

impl Serializer for Finite {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    fn serialize_f64(self, number: f64) -> Checked {
        if number.is_finite() {
            return Ok(());
        }
        Err(Fault { number: Some(number), message: String::new(), inside_out: Vec::new() })
    }

    fn serialize_f32(self, number: f32) -> Checked {
        self.serialize_f64(f64::from(number))
    }

    harmless! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8]) serialize_none()
        serialize_unit() serialize_unit_struct(&'static str) serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Checked {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Checked {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Checked {
        Parts::of(None)?.look(variant, value)
    }

    fn serialize_seq(self, _: Option<usize>) -> std::result::Result<Parts, Fault> {
        Parts::of(None)
    }

    fn serialize_tuple(self, _: usize) -> std::result::Result<Parts, Fault> {
        Parts::of(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> std::result::Result<Parts, Fault> {
        Parts::of(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> std::result::Result<Parts, Fault> {
        Parts::of(Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> std::result::Result<Parts, Fault> {
        Parts::of(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> std::result::Result<Parts, Fault> {
        Parts::of(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> std::result::Result<Parts, Fault> {
        Parts::of(Some(variant))
    }
}

/// The four kinds of lists.
macro_rules! lists {
    ($($kind:ident $method:ident)*) => {
        $(impl ser::$kind for Parts {
            type Ok = ();
            type Error = Fault;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
                self.look_next(value)
            }

            fn end(self) -> Checked {
                Ok(())
            }
        })*
    };
}

/// The two kinds of structs.
macro_rules! structs {
    ($($kind:ident)*) => {
        $(impl ser::$kind for Parts {
            type Ok = ();
            type Error = Fault;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Checked {
                self.look(key, value)
            }

            fn end(self) -> Checked {
                Ok(())
            }
        })*
    };
}

lists! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}
structs! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Parts {
    type Ok = ();
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Checked {
        // A key that is no text is refused where the result is written.
        let text = serde_json::to_value(key).unwrap_or_default();
        self.key = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
        self.look(&self.key, value)
    }

    fn end(self) -> Checked {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Serialize)]
    enum Shape {
        Circle(f64),
        Ring(f64, f32),
        Box { height: Option<f64> },
        Point,
    }

    #[derive(Serialize)]
    struct Deep<'a> {
        #[serde(rename = "of")]
        parts: BTreeMap<&'a str, Vec<(u8, Shape)>>,
    }

    #[test]
    fn the_place_of_what_is_not_finite_is_told() {
        let rows = [
            (Shape::Circle(f64::NAN), Some("/of/a~1b/0/1/Circle of the result is NaN, which JSON can't hold")),
            (Shape::Ring(1.0, f32::NEG_INFINITY), Some("/of/a~1b/0/1/Ring/1 of the result is -inf")),
            (Shape::Box { height: Some(f64::INFINITY) }, Some("/of/a~1b/0/1/Box/height of the result is inf")),
            (Shape::Box { height: None }, None),
            (Shape::Circle(f64::MAX), None),
            (Shape::Point, None),
        ];
        for (shape, expected) in rows {
            let value = Deep { parts: BTreeMap::from([("a/b", vec![(1, shape)])]) };
            match (check(&value), expected) {
                (Ok(()), None) => {}
                (Err(error), Some(words)) => assert!(error.message.starts_with(words), "{error}"),
                (found, expected) => unreachable!("{found:?}, not {expected:?}"),
            }
        }
        assert_eq!(check(&BTreeMap::from([(7, f64::NAN)])).unwrap_err().message.split(' ').next(), Some("/7"));
    }
}
