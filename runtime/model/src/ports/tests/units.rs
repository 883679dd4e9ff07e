//! Units: every symbol by its definition, every unit of the units library against ours, texts that are none.

use crate::ports::decimal::Decimal;
use crate::ports::factor::Factor;
use crate::ports::symbols::{Prefixes, SYMBOLS};
use crate::ports::unit::Conversion;
use crate::ports::{Kind, Unit};
use proptest::prelude::*;

fn unit(text: &str) -> Unit {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A number in one unit as the nearest double in another.
fn convert(number: &str, from: &str, to: &str) -> f64 {
    let decimal = Decimal::read(number).unwrap();
    match unit(from).conversion(&unit(to)).unwrap() {
        Conversion::None => number.parse().unwrap(),
        Conversion::By(scaling) => decimal.scaled(&scaling).unwrap(),
    }
}

#[test]
fn every_symbol_is_held_exactly_and_stands_for_one_unit() {
    let mut texts: Vec<&str> =
        SYMBOLS.iter().flat_map(|symbol| symbol.also.iter().copied().chain([symbol.text])).collect();
    for symbol in SYMBOLS {
        assert_ne!(symbol.factor, Factor::NONE, "{}", symbol.text);
        for text in symbol.also.iter().chain([&symbol.text]) {
            let found = unit(text);
            assert_eq!((found.as_str(), found.dimension()), (symbol.text, symbol.dimension), "{text}");
        }
        if symbol.prefixes == Prefixes::Metric {
            let kilo = unit(&format!("k{}", symbol.text));
            let Ok(Conversion::By(scaling)) = kilo.conversion(&unit(symbol.text)) else { panic!("{}", symbol.text) };
            assert_eq!(scaling.factor, Factor::ten_to(3), "{}", symbol.text);
        }
    }
    let count = texts.len();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), count, "a text stands in the table twice");
}

#[test]
fn conversions_are_the_definitions_rounded_once() {
    let rows = [
        ("12", "mm", "m", 0.012),
        ("0.3", "mm", "m", 0.0003),
        ("1", "in", "mm", 25.4),
        ("1", "ft", "m", 0.3048),
        ("1", "yd", "ft", 3.0),
        ("1", "mi", "km", 1.609344),
        ("1", "nmi", "m", 1852.0),
        ("1", "mil", "µm", 25.4),
        ("1", "lb", "kg", 0.45359237),
        ("16", "oz", "lb", 1.0),
        ("7000", "gr", "lb", 1.0),
        ("1", "t", "kg", 1000.0),
        ("1", "lbf", "N", 4.4482216152605),
        ("1", "kip", "lbf", 1000.0),
        ("1", "kgf", "N", 9.80665),
        ("1", "pdl", "N", 0.138254954376),
        ("1", "slug", "lb", 32.17404855643045),
        // 4.4482216152605 N / (0.0254 m)²
        ("1", "psi", "Pa", 6894.757293168362),
        ("1", "psi", "lbf/in^2", 1.0),
        ("1", "ksi", "psi", 1000.0),
        ("1", "MPa", "N/mm^2", 1.0),
        ("1", "bar", "Pa", 1e5),
        ("760", "Torr", "atm", 1.0),
        ("1", "mmHg", "Pa", 133.322387415),
        ("1", "Btu", "J", 1055.05585262),
        ("1", "kWh", "MJ", 3.6),
        ("1", "eV", "J", 1.602176634e-19),
        ("1", "cal", "J", 4.184),
        ("1", "hp", "W", 745.6998715822702),
        ("1", "PS", "W", 735.49875),
        ("36", "km/h", "m/s", 10.0),
        ("1", "mph", "m/s", 0.44704),
        ("1", "kn", "km/h", 1.852),
        ("1", "g0", "m/s^2", 9.80665),
        ("180", "deg", "rad", std::f64::consts::PI),
        ("1", "rev", "deg", 360.0),
        ("1", "deg", "arcsec", 3600.0),
        ("100", "gon", "deg", 90.0),
        ("60", "rpm", "rad/s", std::f64::consts::TAU),
        ("60", "rpm", "rev/s", 1.0),
        ("1", "rad", "deg", 57.29577951308232),
        ("1", "gal", "in^3", 231.0),
        ("1", "gal_UK", "L", 4.54609),
        ("20", "degC", "K", 293.15),
        ("0", "K", "degC", -273.15),
        ("32", "degF", "degC", 0.0),
        ("212", "degF", "degC", 100.0),
        ("-40", "degC", "degF", -40.0),
        ("0", "degF", "degR", 459.67),
        ("68", "degF", "K", 293.15),
        // Differences within a product have no zero of their own.
        ("1", "W/(m*degC)", "W/(m*K)", 1.0),
        ("9", "1/degF", "1/K", 16.2),
        ("1", "cP", "Pa*s", 1e-3),
        ("50", "%", "1", 0.5),
    ];
    for (number, from, to, expected) in rows {
        assert_eq!(convert(number, from, to), expected, "{number} {from} in {to}");
    }
}

#[test]
fn a_unit_is_read_in_the_ways_that_engineers_write_it() {
    let rows = [
        ("N/mm^2", ["N/mm2", "N/mm²", "N / mm ** 2", "N·mm⁻²", "N mm-2", "N.mm^-2"]),
        ("kg/m^3", ["kg/m3", "kg/m³", "kg·m-3", "kg m^-3", "kg*m**-3", "kg/(m*m*m)"]),
        ("kN*m", ["kN.m", "kN·m", "kN m", "kN ⋅ m", "kN × m", "kN*m^1"]),
        ("W/(m^2*K)", ["W/m^2/K", "W/(m² K)", "W m-2 K-1", "W/m2/K", "(W/m^2)/K", "W*(m^2*K)^-1"]),
        ("1/s", ["s^-1", "s-1", "s⁻¹", "1 / s", "1/(s)", "m/(m*s)"]),
        ("µm", ["um", "μm", "µm ", " µm", "µm^1", "(µm)"]),
        ("1", ["-", "m/m", "1", " 1 ", "(1)", "1/1"]),
    ];
    for (text, others) in rows {
        for other in others {
            assert_eq!(unit(other).as_str(), text, "{other}");
        }
    }
}

#[test]
fn what_is_no_unit_is_refused_with_what_to_do() {
    let long = "m*".repeat(60);
    let rows = [
        ("", "this text is empty"),
        ("furlong", "no unit \"furlong\""),
        ("Mpa", "did you mean \"MPa\"?"),
        ("KN", "did you mean \"kN\"?"),
        ("PSI", "did you mean \"psi\"?"),
        ("ton", "ton_US"),
        ("m^0.5", "whole numbers"),
        ("m^", "whole numbers"),
        ("m^99", "whole numbers"),
        ("m^999999999999999999999", "whole numbers"),
        ("m^12*m^12", "whole numbers"),
        ("W/m*K", "below the line"),
        ("W/m K", "below the line"),
        ("m/", "can't be read"),
        ("(m", "can't be read"),
        ("m)", "can't be read"),
        ("10 m", "can't be read"),
        ("2*m", "can't be read"),
        ("m;s", "can't be read"),
        ("ft-lb", "can't be read"),
        ("m\0", "can't be read"),
        ("PW^12", "exactly"),
        ("((((((m))))))", "deeper"),
        (&long, "80 bytes"),
        // Shorter than what it would be written as.
        ("m2 s2 N2 J2 W2 V2 A2 C2 T2 H2 F2 S2 K2 Pa2 Hz2 Wb2 cd2 rad2 mol2", "80 bytes"),
    ];
    for (text, needed) in rows {
        let error = text.parse::<Unit>().map(|unit| unit.to_string()).unwrap_err().to_string();
        assert!(error.contains(needed), "{text:?}: {error}");
    }
}

#[test]
fn each_kind_has_its_si_unit_and_usual_units_of_its_dimension() {
    for kind in Kind::ALL {
        let own = kind.unit();
        assert_eq!(unit(own.as_str()), own, "{kind}");
        assert_eq!(Kind::named(kind.as_str()), Some(kind));
        assert_eq!(kind.usual_units()[0], own.as_str(), "{kind}");
        for text in kind.usual_units() {
            let usual = kind.admit(unit(text)).unwrap_or_else(|| panic!("{kind}: {text}"));
            assert_eq!((usual.dimension(), usual.as_str()), (own.dimension(), *text), "{kind}");
            assert!(usual.conversion(&own).is_ok());
        }
    }
}

#[test]
fn turns_are_frequencies_and_radians_are_not() {
    let per_second = |text: &str| {
        let cycles = Kind::Frequency.admit(unit(text))?;
        Some(cycles.factor())
    };
    assert_eq!(per_second("rpm"), Some(1.0 / 60.0));
    assert_eq!(per_second("rev/s"), Some(1.0));
    assert_eq!(per_second("deg/s"), Some(1.0 / 360.0));
    assert_eq!(per_second("1/min"), Some(1.0 / 60.0));
    assert_eq!(per_second("rad/s"), None);
    assert_eq!(per_second("rev"), None);
    assert_eq!(Kind::Angle.admit(unit("1")), None);
}

/// Each unit of the units library: its kind, its symbol, and 0 and 1 of it in coherent units, as the library counts.
fn library() -> Vec<(Kind, &'static str, [f64; 2])> {
    let mut all = Vec::new();
    macro_rules! add {
        ($($kind:ident: $quantity:ident $type:ident;)+) => {
            $(for found in uom::si::$quantity::units() {
                let of = |number: i32| {
                    let text = format!("{number} {}", found.abbreviation());
                    text.parse::<uom::si::f64::$type>().unwrap().value
                };
                all.push((Kind::$kind, found.abbreviation(), [of(0), of(1)]));
            })+
        };
    }
    add! {
        Length: length Length;
        Area: area Area;
        Volume: volume Volume;
        Mass: mass Mass;
        Density: mass_density MassDensity;
        Time: time Time;
        Frequency: frequency Frequency;
        Angle: angle Angle;
        Force: force Force;
        Moment: torque Torque;
        Pressure: pressure Pressure;
        Temperature: thermodynamic_temperature ThermodynamicTemperature;
        Energy: energy Energy;
        Power: power Power;
        Velocity: velocity Velocity;
        Acceleration: acceleration Acceleration;
    }
    all
}

#[test]
fn the_units_library_agrees_on_every_unit_that_both_know() {
    // The library's thermochemical unit; ours by this symbol is that of the International Table, as engineers use it.
    let other_unit = ["Btu"];
    let mut compared = 0;
    for (kind, abbreviation, [zero, one]) in library() {
        let Some(ours) = abbreviation.parse().ok().and_then(|unit| kind.admit(unit)) else { continue };
        if other_unit.contains(&abbreviation) {
            continue;
        }
        let own = [0.0, 1.0].map(|number| (number + ours.offset()) * ours.factor());
        for (theirs, ours) in [zero, one].into_iter().zip(own) {
            // The library rounds many factors to seven digits.
            let close = (theirs - ours).abs() <= 1e-6 * theirs.abs();
            assert!(close, "{kind} {abbreviation}: {theirs} there, {ours} here");
        }
        compared += 1;
    }
    assert!(compared >= 380, "only {compared} units were compared");
}

fn any_unit() -> impl Strategy<Value = (Unit, Kind)> {
    let of_kinds = Kind::ALL.into_iter().flat_map(|kind| {
        kind.usual_units().iter().filter_map(move |text| Some((kind.admit(text.parse().ok()?)?, kind)))
    });
    prop::sample::select(of_kinds.collect::<Vec<_>>())
}

fn any_term() -> impl Strategy<Value = String> {
    let symbols: Vec<_> = SYMBOLS.iter().map(|symbol| symbol.text).collect();
    (prop::sample::select(symbols), -3i32..4).prop_map(|(symbol, power)| format!("{symbol}^{power}"))
}

proptest! {
    #[test]
    fn numbers_come_back_from_another_unit(
        (from, kind) in any_unit(),
        other in any::<prop::sample::Index>(),
        digits in 1i64..1_000_000_000_000_000,
        ten in -20i32..20,
    ) {
        let usual: Vec<Unit> = kind.usual_units().iter().map(|text| kind.admit(text.parse().unwrap()).unwrap()).collect();
        let to = &usual[other.index(usual.len())];
        let scale = |number: &str, from: &Unit, to: &Unit| match from.conversion(to).unwrap() {
            Conversion::None => number.parse().unwrap(),
            Conversion::By(scaling) => Decimal::read(number).unwrap().scaled(&scaling).unwrap(),
        };
        let start = format!("{digits}e{ten}");
        let there: f64 = scale(&start, &from, to);
        let back: f64 = scale(&format!("{there:e}"), to, &from);
        let start: f64 = start.parse().unwrap();
        // Two roundings, each half of a last place; a temperature's zero makes small numbers of large ones.
        let shift = if kind == Kind::Temperature { 1_000.0 * f64::EPSILON } else { 0.0 };
        prop_assert!((back - start).abs() <= 2.0 * f64::EPSILON * start.abs() + shift, "{} -> {} -> {}", start, there, back);
    }

    #[test]
    fn what_we_write_is_read_as_the_same_unit(terms in prop::collection::vec(any_term(), 1..4)) {
        let text = terms.join("*");
        let Ok(unit) = text.parse::<Unit>() else { return Ok(()) };
        let again: Unit = unit.as_str().parse().unwrap();
        prop_assert_eq!(again.as_str(), unit.as_str());
        prop_assert_eq!(&again, &unit);
        prop_assert_eq!(unit.conversion(&again), Ok(Conversion::None));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,90}|[a-zA-Zµ°²³⁻*/^().0-9 -]{0,80}") {
        if let Ok(unit) = text.parse::<Unit>() {
            prop_assert_eq!(unit.as_str().parse::<Unit>(), Ok(unit));
        }
    }
}
