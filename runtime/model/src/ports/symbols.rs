//! The symbols of units, each with its factor by definition. Every number here is exact: what the SI brochure, the
//! international yard and pound agreement (1959) or the unit's own standard fixes, and products of those.

use super::dimension::Dimension;
use super::factor::Factor;

/// A unit that has a symbol of its own.
#[derive(Debug)]
pub(super) struct Symbol {
    pub(super) text: &'static str,
    /// Other ways to write it.
    pub(super) also: &'static [&'static str],
    pub(super) prefixes: Prefixes,
    pub(super) dimension: Dimension,
    /// Coherent units in one of this.
    pub(super) factor: Factor,
    /// Its zero lies at this many hundredths of it below the absolute zero; 0 for all but temperatures.
    pub(super) zero: i32,
}

/// Whether a symbol may have an SI prefix before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefixes {
    None,
    Metric,
}

/// The SI prefixes that engineering uses: those beyond would only turn typing errors into units.
const PREFIXES: [(&str, i32); 16] = [
    ("da", 1),
    ("p", -12),
    ("n", -9),
    ("\u{b5}", -6),
    ("\u{3bc}", -6),
    ("u", -6),
    ("m", -3),
    ("c", -2),
    ("d", -1),
    ("h", 2),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("f", -15),
];

/// A symbol as it was found in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// The prefix as we write it, empty for none.
    pub(super) prefix: &'static str,
    pub(super) symbol: &'static Symbol,
    pub(super) factor: Factor,
}

/// The unit that `text` is the symbol of. A symbol that stands in the table goes before one with a prefix: `min` is a
/// minute and `ft` a foot.
pub(super) fn find(text: &str) -> Option<Found> {
    let exactly = |text: &str| SYMBOLS.iter().find(|symbol| symbol.text == text || symbol.also.contains(&text));
    if let Some(symbol) = exactly(text) {
        return Some(Found { prefix: "", symbol, factor: symbol.factor });
    }
    PREFIXES.into_iter().find_map(|(prefix, ten)| {
        let symbol = exactly(text.strip_prefix(prefix)?).filter(|symbol| symbol.prefixes == Prefixes::Metric)?;
        let prefix = if ten == -6 { "\u{b5}" } else { prefix };
        Some(Found { prefix, symbol, factor: symbol.factor.checked_times(Factor::ten_to(ten))? })
    })
}

/// A symbol that differs from `text` in small and capital letters alone.
pub(super) fn find_in_other_case(text: &str) -> Option<String> {
    let matches = |candidate: &str| candidate.eq_ignore_ascii_case(text);
    // Who writes KN means kilonewtons, not knots.
    let plain = SYMBOLS.iter().find(|symbol| matches(symbol.text) && symbol.text != "kn");
    let plain = plain.map(|symbol| symbol.text.to_owned());
    plain.or_else(|| {
        let metric = || SYMBOLS.iter().filter(|symbol| symbol.prefixes == Prefixes::Metric);
        // Thousand and million first: they are what is meant most often.
        let prefixes = ["k", "M", "m", "G", "\u{b5}", "c", "d", "h", "n", "da"];
        let mut pairs =
            prefixes.iter().flat_map(|prefix| metric().map(move |symbol| format!("{prefix}{}", symbol.text)));
        pairs.find(|pair| matches(pair))
    })
}

const fn plain(text: &'static str, also: &'static [&'static str], dimension: Dimension, factor: Factor) -> Symbol {
    Symbol { text, also, prefixes: Prefixes::None, dimension, factor, zero: 0 }
}

const fn metric(text: &'static str, also: &'static [&'static str], dimension: Dimension, factor: Factor) -> Symbol {
    Symbol { text, also, prefixes: Prefixes::Metric, dimension, factor, zero: 0 }
}

const fn temperature(text: &'static str, also: &'static [&'static str], factor: Factor, zero: i32) -> Symbol {
    Symbol { text, also, prefixes: Prefixes::None, dimension: Dimension::TEMPERATURE, factor, zero }
}

const AREA: Dimension = Dimension::mechanical(0, 2, 0);
const VOLUME: Dimension = Dimension::mechanical(0, 3, 0);
const PER_TIME: Dimension = Dimension::mechanical(0, 0, -1);
const VELOCITY: Dimension = Dimension::mechanical(0, 1, -1);
const ACCELERATION: Dimension = Dimension::mechanical(0, 1, -2);
const FORCE: Dimension = Dimension::mechanical(1, 1, -2);
const PRESSURE: Dimension = Dimension::mechanical(1, -1, -2);
const ENERGY: Dimension = Dimension::mechanical(1, 2, -2);
const POWER: Dimension = Dimension::mechanical(1, 2, -3);
const TURNS_PER_TIME: Dimension = Dimension::turning(-1);

const ONE: Factor = Factor::ONE;
const MINUTE: Factor = Factor::decimal(60, 0);
const HOUR: Factor = Factor::decimal(3_600, 0);
const INCH: Factor = Factor::decimal(254, -4);
const FOOT: Factor = Factor::decimal(3_048, -4);
const MILE: Factor = Factor::decimal(1_609_344, -3);
const POUND: Factor = Factor::decimal(45_359_237, -8);
/// Standard gravity, 9.80665 m/s² (CGPM 1901).
const GRAVITY: Factor = Factor::decimal(980_665, -5);
const POUND_FORCE: Factor = POUND.times(GRAVITY);
const PSI: Factor = POUND_FORCE.over(INCH).over(INCH);
/// The gallon of the United States, 231 cubic inches.
const GALLON: Factor = INCH.times(INCH).times(INCH).times(Factor::decimal(231, 0));
const ATMOSPHERE: Factor = Factor::decimal(101_325, 0);
/// Conventional millimetre of mercury: 13.5951 g/cm³ under standard gravity.
const MERCURY: Factor = Factor::decimal(135_951, -4).times(GRAVITY);
/// Joules in a British thermal unit of the International Table: 4.1868 J for 1 g and 1 K, of a pound and 5/9 K.
const BTU: Factor = Factor::decimal(41_868, -1).times(POUND).times(RANKINE);
const RANKINE: Factor = Factor::decimal(5, 0).over(Factor::decimal(9, 0));
const TURN: Factor = Factor::PI.times(Factor::decimal(2, 0));
const DEGREE: Factor = Factor::PI.over(Factor::decimal(180, 0));

/// All symbols. Where a name means several units (ton, gallon), each has its own.
pub(super) const SYMBOLS: &[Symbol] = &[
    plain("%", &["percent"], Dimension::NONE, Factor::decimal(1, -2)),
    plain("ppm", &[], Dimension::NONE, Factor::decimal(1, -6)),
    metric("m", &[], Dimension::LENGTH, ONE),
    plain("in", &[], Dimension::LENGTH, INCH),
    plain("ft", &[], Dimension::LENGTH, FOOT),
    plain("yd", &[], Dimension::LENGTH, FOOT.times(Factor::decimal(3, 0))),
    plain("mi", &[], Dimension::LENGTH, MILE),
    plain("nmi", &[], Dimension::LENGTH, Factor::decimal(1_852, 0)),
    plain("mil", &["thou"], Dimension::LENGTH, INCH.times(Factor::decimal(1, -3))),
    plain("\u{b5}in", &["\u{3bc}in", "uin"], Dimension::LENGTH, INCH.times(Factor::decimal(1, -6))),
    plain("Å", &["\u{212b}", "angstrom"], Dimension::LENGTH, Factor::decimal(1, -10)),
    plain("au", &["ua"], Dimension::LENGTH, Factor::decimal(149_597_870_700, 0)),
    plain("ha", &[], AREA, Factor::decimal(10_000, 0)),
    metric("L", &["l"], VOLUME, Factor::decimal(1, -3)),
    plain("gal", &["gal_US"], VOLUME, GALLON),
    plain("gal_UK", &[], VOLUME, Factor::decimal(454_609, -8)),
    plain("bbl", &[], VOLUME, GALLON.times(Factor::decimal(42, 0))),
    metric("g", &[], Dimension::MASS, Factor::decimal(1, -3)),
    plain("t", &[], Dimension::MASS, Factor::decimal(1_000, 0)),
    plain("lb", &["lbm"], Dimension::MASS, POUND),
    plain("oz", &[], Dimension::MASS, POUND.over(Factor::decimal(16, 0))),
    plain("gr", &[], Dimension::MASS, POUND.over(Factor::decimal(7_000, 0))),
    plain("ct", &[], Dimension::MASS, Factor::decimal(2, -4)),
    plain("slug", &[], Dimension::MASS, POUND_FORCE.over(FOOT)),
    plain("ton_US", &[], Dimension::MASS, POUND.times(Factor::decimal(2_000, 0))),
    plain("ton_UK", &[], Dimension::MASS, POUND.times(Factor::decimal(2_240, 0))),
    metric("s", &[], Dimension::TIME, ONE),
    plain("min", &[], Dimension::TIME, MINUTE),
    plain("h", &[], Dimension::TIME, HOUR),
    plain("d", &[], Dimension::TIME, Factor::decimal(86_400, 0)),
    metric("Hz", &[], PER_TIME, ONE),
    metric("rad", &[], Dimension::ANGLE, ONE),
    plain("deg", &["°"], Dimension::ANGLE, DEGREE),
    plain("arcmin", &["′"], Dimension::ANGLE, DEGREE.over(MINUTE)),
    plain("arcsec", &["″"], Dimension::ANGLE, DEGREE.over(HOUR)),
    plain("gon", &["grad"], Dimension::ANGLE, Factor::PI.over(Factor::decimal(200, 0))),
    plain("rev", &["r", "turn", "tr"], Dimension::ANGLE, TURN),
    plain("rps", &[], TURNS_PER_TIME, TURN),
    plain("rpm", &[], TURNS_PER_TIME, TURN.over(MINUTE)),
    plain("mph", &[], VELOCITY, MILE.over(HOUR)),
    plain("kn", &[], VELOCITY, Factor::decimal(1_852, 0).over(HOUR)),
    plain("g0", &["g₀", "gn"], ACCELERATION, GRAVITY),
    plain("Gal", &[], ACCELERATION, Factor::decimal(1, -2)),
    metric("N", &[], FORCE, ONE),
    plain("dyn", &[], FORCE, Factor::decimal(1, -5)),
    plain("kgf", &[], FORCE, GRAVITY),
    plain("gf", &[], FORCE, GRAVITY.times(Factor::decimal(1, -3))),
    plain("tf", &[], FORCE, GRAVITY.times(Factor::decimal(1_000, 0))),
    plain("lbf", &[], FORCE, POUND_FORCE),
    plain("ozf", &[], FORCE, POUND_FORCE.over(Factor::decimal(16, 0))),
    plain("kip", &[], FORCE, POUND_FORCE.times(Factor::decimal(1_000, 0))),
    plain("pdl", &[], FORCE, POUND.times(FOOT)),
    metric("Nm", &[], ENERGY, ONE),
    metric("Nmm", &[], ENERGY, Factor::decimal(1, -3)),
    metric("Pa", &[], PRESSURE, ONE),
    metric("bar", &[], PRESSURE, Factor::decimal(100_000, 0)),
    plain("atm", &[], PRESSURE, ATMOSPHERE),
    plain("at", &[], PRESSURE, GRAVITY.times(Factor::decimal(10_000, 0))),
    plain("psi", &[], PRESSURE, PSI),
    plain("ksi", &[], PRESSURE, PSI.times(Factor::decimal(1_000, 0))),
    metric("Torr", &[], PRESSURE, ATMOSPHERE.over(Factor::decimal(760, 0))),
    plain("mmHg", &[], PRESSURE, MERCURY),
    plain("inHg", &[], PRESSURE, MERCURY.times(Factor::decimal(254, -1))),
    plain("mmH2O", &["mmH₂O"], PRESSURE, GRAVITY),
    plain("inH2O", &["inH₂O"], PRESSURE, GRAVITY.times(Factor::decimal(254, -1))),
    metric("J", &[], ENERGY, ONE),
    metric("Wh", &[], ENERGY, HOUR),
    metric("eV", &[], ENERGY, Factor::decimal(1_602_176_634, -28)),
    metric("cal", &[], ENERGY, Factor::decimal(4_184, -3)),
    plain("cal_IT", &[], ENERGY, Factor::decimal(41_868, -4)),
    plain("Btu", &["BTU", "Btu_IT"], ENERGY, BTU),
    plain("erg", &[], ENERGY, Factor::decimal(1, -7)),
    metric("W", &[], POWER, ONE),
    plain("hp", &[], POWER, POUND_FORCE.times(FOOT).times(Factor::decimal(550, 0))),
    plain("PS", &["hp_M"], POWER, GRAVITY.times(Factor::decimal(75, 0))),
    metric("P", &[], Dimension::mechanical(1, -1, -1), Factor::decimal(1, -1)),
    metric("St", &[], Dimension::mechanical(0, 2, -1), Factor::decimal(1, -4)),
    metric("K", &[], Dimension::TEMPERATURE, ONE),
    temperature("degC", &["°C"], ONE, 27_315),
    temperature("degF", &["°F"], RANKINE, 45_967),
    temperature("degR", &["°R"], RANKINE, 0),
    metric("A", &[], Dimension::CURRENT, ONE),
    metric("C", &[], Dimension::electrical(0, 0, 1, 1), ONE),
    metric("V", &[], Dimension::electrical(1, 2, -3, -1), ONE),
    metric("F", &[], Dimension::electrical(-1, -2, 4, 2), ONE),
    metric("ohm", &["Ω", "\u{2126}"], Dimension::electrical(1, 2, -3, -2), ONE),
    metric("S", &[], Dimension::electrical(-1, -2, 3, 2), ONE),
    metric("H", &[], Dimension::electrical(1, 2, -2, -2), ONE),
    metric("T", &[], Dimension::electrical(1, 0, -2, -1), ONE),
    metric("Wb", &[], Dimension::electrical(1, 2, -2, -1), ONE),
    metric("mol", &[], Dimension::AMOUNT, ONE),
    metric("cd", &[], Dimension::LIGHT, ONE),
];
