//! What is known of an expression before it is evaluated: its type and its unit.
//!
//! Only what can't be right is refused: where nothing is known of a part (the result of a script), everything is
//! allowed. Units count: numbers in different units are neither added nor compared, and a product or quotient has the
//! unit that follows.

use super::{Function, Node, Path, Relation, Root, StepKind};
use mecapy_model::ports::{InvalidUnit, Port, PortType, Unit};

/// What is known of a value.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    /// Nothing.
    Any,
    Null,
    /// What a port gives.
    Port(Box<Port>),
    Number {
        whole: bool,
        measure: Measure,
    },
    Truth,
    Text,
    List(Box<Type>),
}

/// What is known of a number's unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Measure {
    /// A plain number, or one whose author says nothing of a unit.
    Plain,
    In(Unit),
    /// It has a unit that we can't name.
    Lost,
}

/// A type by what operators ask of it.
enum Sort {
    Any,
    Null,
    Number { whole: bool, measure: Measure },
    Truth,
    Text,
    List(Box<Type>),
    Object,
}

type Known = Result<Type, String>;

impl Type {
    /// What a port gives.
    pub(crate) fn of(port: Port) -> Self {
        Type::Port(Box::new(port))
    }

    /// The port that it is to what it is handed to; `None` where too little is known.
    pub(crate) fn port(&self) -> Option<Port> {
        match self {
            Type::Any | Type::Null => None,
            Type::Port(port) => Some(port.as_ref().clone()),
            Type::Truth => Port::new(PortType::Boolean, None).ok(),
            Type::Text => Port::new(PortType::String, None).ok(),
            Type::Number { whole, measure } => {
                let ty = if *whole { PortType::Integer } else { PortType::Numeric };
                match measure {
                    Measure::Plain => Port::new(ty, None).ok(),
                    Measure::In(unit) => Port::new(ty, Some(unit.clone())).ok(),
                    Measure::Lost => None,
                }
            }
            Type::List(items) => {
                let items = items.port()?;
                Port::new(PortType::List(Box::new(items.ty().clone())), items.declared_unit().cloned()).ok()
            }
        }
    }

    /// Whether it has a unit that we can't name.
    pub(crate) fn has_lost_unit(&self) -> bool {
        match self {
            Type::Number { measure, .. } => *measure == Measure::Lost,
            Type::List(items) => items.has_lost_unit(),
            _ => false,
        }
    }

    /// The list of these.
    pub(crate) fn list(self) -> Type {
        match self {
            Type::Any => Type::Any,
            other => Type::List(Box::new(other)),
        }
    }

    /// What is in it, where it is a list; a message where it is none.
    pub(crate) fn items(&self) -> Result<Type, String> {
        match self.sort() {
            Sort::List(items) => Ok(*items),
            Sort::Any => Ok(Type::Any),
            _ => Err(format!("a list is needed, not {}", self.described())),
        }
    }

    pub(crate) fn may_be_truth(&self) -> bool {
        matches!(self.sort(), Sort::Truth | Sort::Any)
    }

    pub(crate) fn may_be_text(&self) -> bool {
        matches!(self.sort(), Sort::Text | Sort::Any)
    }

    /// Whether it holds numbers that may have their unit beside them.
    pub(crate) fn is_measured(&self) -> bool {
        match self.sort() {
            Sort::Number { .. } => true,
            Sort::List(items) => items.is_measured(),
            _ => false,
        }
    }

    pub(crate) fn described(&self) -> String {
        match self.sort() {
            Sort::Any => "a value".to_owned(),
            Sort::Null => "null".to_owned(),
            Sort::Number { measure: Measure::In(unit), .. } => format!("a number in {unit}"),
            Sort::Number { .. } => "a number".to_owned(),
            Sort::Truth => "true or false".to_owned(),
            Sort::Text => "a text".to_owned(),
            Sort::List(_) => "a list".to_owned(),
            Sort::Object => "an object".to_owned(),
        }
    }

    fn sort(&self) -> Sort {
        match self {
            Type::Any => Sort::Any,
            Type::Null => Sort::Null,
            Type::Number { whole, measure } => Sort::Number { whole: *whole, measure: measure.clone() },
            Type::Truth => Sort::Truth,
            Type::Text => Sort::Text,
            Type::List(items) => Sort::List(items.clone()),
            Type::Port(port) => sort_of(port),
        }
    }
}

fn sort_of(port: &Port) -> Sort {
    let measure = match port.unit() {
        Some(unit) if *unit != Unit::ONE => Measure::In(unit.into_owned()),
        _ => Measure::Plain,
    };
    let part = |ty: PortType| Port::new(ty, port.declared_unit().cloned()).map_or(Type::Any, Type::of);
    match port.ty() {
        PortType::Integer => Sort::Number { whole: true, measure },
        PortType::Numeric | PortType::Float | PortType::Quantity(_) => Sort::Number { whole: false, measure },
        PortType::Boolean => Sort::Truth,
        PortType::String | PortType::File(_) => Sort::Text,
        PortType::Literal(values) => {
            let first = values.first().map(|value| value.get().chars().next());
            let same = values.iter().all(|value| Some(value.get().chars().next()) == first);
            match first.flatten() {
                Some('"') if same => Sort::Text,
                _ => Sort::Any,
            }
        }
        PortType::Vector3 | PortType::Force3 | PortType::Moment3 => {
            Sort::List(Box::new(Type::Number { whole: false, measure }))
        }
        PortType::Matrix => Sort::List(Box::new(part(PortType::List(Box::new(PortType::Float))))),
        PortType::List(items) => Sort::List(Box::new(part(items.as_ref().clone()))),
        PortType::Dict(_) | PortType::Struct(_) | PortType::Torsor | PortType::Object => Sort::Object,
    }
}

/// The type of a part of an expression, by the types of the roots; a message where it can't be right.
pub(crate) fn check(node: &Node, roots: &dyn Fn(Root) -> Type) -> Known {
    match node {
        Node::Literal(value) => Ok(literal(value)),
        Node::Path(path) => check_path(path, roots),
        Node::All(parts) | Node::Any(parts) => {
            for part in parts {
                needs_truth(part, roots)?;
            }
            Ok(Type::Truth)
        }
        Node::Not(part) => needs_truth(part, roots).map(|()| Type::Truth),
        Node::Chain(first, rest) => {
            let mut left = check(first, roots)?;
            for (relation, node) in rest {
                let right = check(node, roots)?;
                comparable(&left, *relation, &right)?;
                left = right;
            }
            Ok(Type::Truth)
        }
        Node::Sum(parts) => sum(parts, roots),
        Node::Product(parts) => product(parts, roots),
        Node::Negative(part) => {
            let (whole, measure) = needs_number(part, roots)?;
            Ok(Type::Number { whole, measure: measure.unwrap_or(Measure::Plain) })
        }
        Node::Power(base, exponent) => power(base, exponent, roots),
        Node::Call(function, arguments) => call(*function, arguments, roots),
    }
}

fn literal(value: &super::Value) -> Type {
    use super::Value;
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Truth,
        Value::Text(_) => Type::Text,
        Value::Raw(json) => Type::Number { whole: !json.get().contains(['.', 'e', 'E']), measure: Measure::Plain },
        Value::Computed(_) | Value::List(_) => Type::Any,
    }
}

fn needs_truth(node: &Node, roots: &dyn Fn(Root) -> Type) -> Result<(), String> {
    let ty = check(node, roots)?;
    match ty.sort() {
        Sort::Truth | Sort::Any => Ok(()),
        _ => Err(format!("true or false is needed, not {}: compare it with something", ty.described())),
    }
}

/// Whether it is whole, and its unit where anything is known of it.
fn needs_number(node: &Node, roots: &dyn Fn(Root) -> Type) -> Result<(bool, Option<Measure>), String> {
    number_of(&check(node, roots)?)
}

fn number_of(ty: &Type) -> Result<(bool, Option<Measure>), String> {
    match ty.sort() {
        Sort::Number { whole, measure } => Ok((whole, Some(measure))),
        Sort::Any => Ok((false, None)),
        _ => Err(format!("a number is needed, not {}", ty.described())),
    }
}

/// One unit for numbers that are added, compared or chosen from.
fn same_unit(one: Measure, other: Measure, verb: &str) -> Result<Measure, String> {
    match (one, other) {
        (Measure::In(one), Measure::In(other)) if one != other => {
            Err(format!("a number in {one} and one in {other} can't be {verb}: bring them to one unit in a task"))
        }
        (Measure::In(unit), _) | (_, Measure::In(unit)) => Ok(Measure::In(unit)),
        (Measure::Lost, _) | (_, Measure::Lost) => Ok(Measure::Lost),
        _ => Ok(Measure::Plain),
    }
}

fn comparable(left: &Type, relation: Relation, right: &Type) -> Result<(), String> {
    let equality = matches!(relation, Relation::Equal | Relation::NotEqual);
    match (left.sort(), right.sort()) {
        (Sort::Any, _) | (_, Sort::Any) => Ok(()),
        (Sort::Number { measure: one, .. }, Sort::Number { measure: other, .. }) => {
            same_unit(one, other, "compared").map(|_| ())
        }
        (Sort::Null, _) | (_, Sort::Null) | (Sort::Truth, Sort::Truth) | (Sort::Text, Sort::Text) if equality => Ok(()),
        _ => {
            let (left, right) = (left.described(), right.described());
            Err(format!("{left} and {right} can't be compared with {}", relation.symbol()))
        }
    }
}

fn sum(parts: &[(bool, Node)], roots: &dyn Fn(Root) -> Type) -> Known {
    let mut whole = true;
    let mut measure = Measure::Plain;
    for (_, part) in parts {
        let (is_whole, unit) = needs_number(part, roots)?;
        whole &= is_whole;
        measure = same_unit(measure, unit.unwrap_or(Measure::Plain), "added")?;
    }
    // A difference of temperatures is none itself.
    if matches!(&measure, Measure::In(unit) if unit.offset() != 0.0) {
        measure = Measure::Lost;
    }
    Ok(Type::Number { whole, measure })
}

fn product(parts: &[(bool, Node)], roots: &dyn Fn(Root) -> Type) -> Known {
    let mut whole = true;
    let mut measure: Option<Measure> = Some(Measure::Plain);
    for (divides, part) in parts {
        let (is_whole, factor) = needs_number(part, roots)?;
        whole &= is_whole && !divides;
        measure = match (measure, factor) {
            (Some(one), Some(other)) => Some(times(one, *divides, other)),
            // A factor of which nothing is known may have any unit.
            (Some(Measure::Plain) | None, None) | (None, Some(Measure::Plain)) => None,
            _ => Some(Measure::Lost),
        };
    }
    match measure {
        Some(measure) => Ok(Type::Number { whole, measure }),
        None => Ok(Type::Any),
    }
}

fn times(one: Measure, divides: bool, other: Measure) -> Measure {
    let sign = if divides { '/' } else { '*' };
    // The double of a temperature in degC is none.
    let counts_from_elsewhere = |measure: &Measure| matches!(measure, Measure::In(unit) if unit.offset() != 0.0);
    if counts_from_elsewhere(&one) || counts_from_elsewhere(&other) {
        return Measure::Lost;
    }
    let unit: Result<Unit, InvalidUnit> = match (one, other) {
        (Measure::Lost, _) | (_, Measure::Lost) => return Measure::Lost,
        (Measure::Plain, Measure::Plain) => return Measure::Plain,
        (Measure::In(one), Measure::Plain) => return Measure::In(one),
        (Measure::Plain, Measure::In(other)) if divides => format!("1/({other})").parse(),
        (Measure::Plain, Measure::In(other)) => return Measure::In(other),
        (Measure::In(one), Measure::In(other)) => format!("({one}){sign}({other})").parse(),
    };
    match unit {
        Ok(unit) if unit == Unit::ONE => Measure::Plain,
        Ok(unit) => Measure::In(unit),
        Err(_) => Measure::Lost,
    }
}

fn power(base: &Node, exponent: &Node, roots: &dyn Fn(Root) -> Type) -> Known {
    let (whole, measure) = needs_number(base, roots)?;
    let (whole_exponent, unit) = needs_number(exponent, roots)?;
    if let Some(Measure::In(unit)) = unit {
        return Err(format!("an exponent is a plain number, not one in {unit}"));
    }
    let Some(measure) = measure else { return Ok(Type::Any) };
    let measure = match (measure, exponent) {
        (Measure::In(unit), Node::Literal(value)) => match format!("({unit})^{}", value.clone().into_json()).parse() {
            Ok(unit) => Measure::In(unit),
            Err(_) => Measure::Lost,
        },
        (Measure::In(_), _) => Measure::Lost,
        (other, _) => other,
    };
    Ok(Type::Number { whole: whole && whole_exponent && matches!(exponent, Node::Literal(_)), measure })
}

fn call(function: Function, arguments: &[Node], roots: &dyn Fn(Root) -> Type) -> Known {
    let [first, rest @ ..] = arguments else { return Ok(Type::Any) };
    let plain = |whole| Type::Number { whole, measure: Measure::Plain };
    let number = |(whole, measure): (bool, Option<Measure>)| match measure {
        Some(measure) => Type::Number { whole, measure },
        None => Type::Any,
    };
    match function {
        Function::Abs => Ok(number(needs_number(first, roots)?)),
        Function::Round => {
            for digits in rest {
                needs_number(digits, roots)?;
            }
            let (whole, measure) = needs_number(first, roots)?;
            Ok(number((whole || rest.is_empty(), measure)))
        }
        Function::Sqrt => match needs_number(first, roots)?.1 {
            Some(Measure::Plain) => Ok(plain(false)),
            Some(_) => Ok(Type::Number { whole: false, measure: Measure::Lost }),
            None => Ok(Type::Any),
        },
        Function::Len => {
            let ty = check(first, roots)?;
            match ty.sort() {
                Sort::List(_) | Sort::Text | Sort::Object | Sort::Any => Ok(plain(true)),
                _ => Err(format!("a list, a text or an object is needed, not {}", ty.described())),
            }
        }
        Function::Sum => Ok(number(number_of(&check(first, roots)?.items()?)?)),
        Function::Mean => Ok(number((false, number_of(&check(first, roots)?.items()?)?.1))),
        Function::Min | Function::Max if rest.is_empty() => Ok(number(number_of(&check(first, roots)?.items()?)?)),
        Function::Min | Function::Max => {
            let mut result = (true, Some(Measure::Plain));
            for argument in arguments {
                let (whole, measure) = needs_number(argument, roots)?;
                result.0 &= whole;
                result.1 = match (result.1, measure) {
                    (Some(one), Some(other)) => Some(same_unit(one, other, "compared")?),
                    (Some(Measure::Plain) | None, _) => None,
                    (known, _) => known,
                };
            }
            Ok(number(result))
        }
        Function::If => {
            needs_truth(first, roots)?;
            let mut branches = rest.iter().map(|branch| check(branch, roots));
            match (branches.next(), branches.next()) {
                (Some(one), Some(other)) => either(one?, other?),
                _ => Ok(Type::Any),
            }
        }
        Function::IsNull => check(first, roots).map(|_| Type::Truth),
    }
}

/// The type of a choice between two.
fn either(one: Type, other: Type) -> Known {
    match (one.sort(), other.sort()) {
        (Sort::Number { whole: a, measure: one }, Sort::Number { whole: b, measure: other }) => {
            Ok(Type::Number { whole: a && b, measure: same_unit(one, other, "chosen from")? })
        }
        (Sort::Truth, Sort::Truth) => Ok(Type::Truth),
        (Sort::Text, Sort::Text) => Ok(Type::Text),
        _ => Ok(Type::Any),
    }
}

fn check_path(path: &Path, roots: &dyn Fn(Root) -> Type) -> Known {
    let mut ty = (roots)(path.root);
    let mut soft = path.soft;
    let mut at = path.name.clone();
    for step in &path.steps {
        ty = match &step.kind {
            StepKind::Field(name) => field_of(&ty, name).map_err(|message| format!("{at} {message}"))?,
            StepKind::Item(index) => {
                needs_number(index, roots)?;
                ty.items().map_err(|_| format!("{at} is {}, and no list to take an element of", ty.described()))?
            }
        };
        if let StepKind::Field(name) = &step.kind {
            at.push('.');
            at.push_str(name);
        } else {
            at.push_str("[…]");
        }
        soft |= step.soft;
    }
    Ok(match ty {
        Type::Port(port) if soft => Type::of(port.optional()),
        other => other,
    })
}

/// What a field of a value is; of a list, the list of that field of each element.
pub(crate) fn field_of(ty: &Type, name: &str) -> Known {
    let port = match ty {
        Type::Port(port) => port,
        Type::Any => return Ok(Type::Any),
        Type::List(items) => return field_of(items, name).map(Type::list),
        other => return Err(format!("is {}, and has no field {name:?}", other.described())),
    };
    match port.ty() {
        PortType::Struct(fields) => match fields.get(name) {
            Some(port) => Ok(Type::of(port.clone())),
            None => {
                let known: Vec<_> = fields.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(format!("has no field {name:?}: there are {known}"))
            }
        },
        PortType::Dict(items) => {
            Ok(Port::new(items.as_ref().clone(), port.declared_unit().cloned()).map_or(Type::Any, Type::of))
        }
        PortType::Torsor => match name {
            "force" => Ok(Port::new(PortType::Force3, None).map_or(Type::Any, Type::of)),
            "moment" => Ok(Port::new(PortType::Moment3, None).map_or(Type::Any, Type::of)),
            _ => Err(format!("has no field {name:?}: there are force, moment")),
        },
        PortType::Object => Ok(Type::Any),
        _ => match ty.sort() {
            Sort::List(items) => field_of(&items, name).map(Type::list),
            _ => Err(format!("is {}, and has no field {name:?}", ty.described())),
        },
    }
}
