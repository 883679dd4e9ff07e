//! Random numbers that follow from a seed, a name and an index alone, and the distributions that they become.

/// The increment of SplitMix64: 2⁶⁴ divided by the golden ratio, made odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
/// Rounds of the permutation.
const ROUNDS: u64 = 8;

/// SplitMix64 by its counter (Steele, Lea, Flood: *Fast splittable pseudorandom number generators*, OOPSLA 2014): the
/// number at place `i` is `mix(key + (i + 1)·γ)`, so none depends on those before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    key: u64,
}

/// How likely the values of an input are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Distribution {
    /// Between the two, all alike.
    Uniform {
        low: f64,
        high: f64,
    },
    Normal {
        mean: f64,
        std: f64,
    },
    /// By the mean and the standard deviation of the value itself, not of its logarithm.
    Lognormal {
        mean: f64,
        std: f64,
    },
}

impl Stream {
    pub(super) fn new(seed: u64, name: &str) -> Stream {
        let key = name
            .bytes()
            .fold(mix(seed.wrapping_add(GAMMA)), |key, byte| mix((key ^ u64::from(byte)).wrapping_add(GAMMA)));
        Stream { key }
    }

    #[cfg(test)]
    pub(super) fn with_key(key: u64) -> Stream {
        Stream { key }
    }

    pub(super) fn number(self, place: u64) -> u64 {
        mix(self.key.wrapping_add(place.wrapping_add(1).wrapping_mul(GAMMA)))
    }

    /// One of the middles of 2⁵² equal parts of (0, 1): exact, and neither 0 nor 1.
    pub(super) fn uniform(self, index: u32) -> f64 {
        let parts = (1u64 << 52) as f64;
        ((self.number(u64::from(index)) >> 12) as f64 + 0.5) / parts
    }

    /// A number in the part of (0, 1) that is item `index`'s own among `total` equal ones.
    pub(super) fn stratum(self, index: u32, total: u32) -> f64 {
        let part = self.permuted(index, total);
        let within = self.uniform(index);
        // The sum may be rounded up to the next part's begin; the next double down is still in this one.
        let p = (f64::from(part) + within) / f64::from(total.max(1));
        p.min((f64::from(part + 1) / f64::from(total.max(1))).next_down()).max(f64::MIN_POSITIVE)
    }

    /// The place of `index` in a random order of `0..total`: a Feistel network over the next power of four, walked
    /// until it is in the range (Black, Rogaway: *Ciphers with arbitrary finite domains*, CT-RSA 2002).
    pub(super) fn permuted(self, index: u32, total: u32) -> u32 {
        let bits = (32 - total.saturating_sub(1).leading_zeros()).div_ceil(2).max(1);
        let mask = (1u64 << bits) - 1;
        let mut value = u64::from(index.min(total.saturating_sub(1)));
        loop {
            let (mut left, mut right) = (value >> bits, value & mask);
            for round in 0..ROUNDS {
                let mixed = mix(self.key ^ mix((round << 32) | right).wrapping_add(GAMMA));
                (left, right) = (right, left ^ (mixed & mask));
            }
            value = (left << bits) | right;
            if value < u64::from(total.max(1)) {
                return value as u32;
            }
        }
    }
}

impl Distribution {
    /// The value that the share `p`, between 0 and 1, of all lies below.
    pub(super) fn quantile(self, p: f64) -> f64 {
        match self {
            Distribution::Uniform { low, high } => {
                let value = low * (1.0 - p) + high * p;
                value.clamp(low, high)
            }
            Distribution::Normal { mean, std } => mean + std * normal_quantile(p),
            Distribution::Lognormal { mean, std } => {
                // Johnson, Kotz, Balakrishnan: Continuous univariate distributions, volume 1, chapter 14.
                let variance = libm::log1p((std / mean) * (std / mean));
                libm::exp(libm::log(mean) - variance / 2.0 + variance.sqrt() * normal_quantile(p))
            }
        }
    }
}

/// Stafford's variant 13 of the 64-bit finaliser, as SplitMix64 has it.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The quantile of the standard normal distribution, to about 1 part in 10¹⁶ (Wichura: *Algorithm AS 241*, Applied
/// Statistics 37, 1988).
fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * ratio(&CENTRE, r);
    }
    let r = libm::sqrt(-libm::log(if q < 0.0 { p } else { 1.0 - p }));
    let value = if r <= 5.0 { ratio(&FLANK, r - 1.6) } else { ratio(&TAIL, r - 5.0) };
    if q < 0.0 { -value } else { value }
}

/// The coefficients of a numerator and a denominator, from the highest power down.
type Ratio = ([f64; 8], [f64; 8]);

fn ratio((above, below): &Ratio, x: f64) -> f64 {
    let sum = |coefficients: &[f64; 8]| coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient);
    sum(above) / sum(below)
}

const CENTRE: Ratio = (
    [
        2.509_080_928_730_122_7e3,
        3.343_057_558_358_813e4,
        6.726_577_092_700_87e4,
        4.592_195_393_154_987e4,
        1.373_169_376_550_946_2e4,
        1.971_590_950_306_551_3e3,
        1.331_416_678_917_843_8e2,
        3.387_132_872_796_366_5e0,
    ],
    [
        5.226_495_278_852_545e3,
        2.872_908_573_572_194_3e4,
        3.930_789_580_009_271e4,
        2.121_379_430_158_659_7e4,
        5.394_196_021_424_751e3,
        6.871_870_074_920_579e2,
        4.231_333_070_160_091e1,
        1.0,
    ],
);

const FLANK: Ratio = (
    [
        7.745_450_142_783_414e-4,
        2.272_384_498_926_918_4e-2,
        2.417_807_251_774_506e-1,
        1.270_458_252_452_368_4e0,
        3.647_848_324_763_204_5e0,
        5.769_497_221_460_691e0,
        4.630_337_846_156_546e0,
        1.423_437_110_749_683_5e0,
    ],
    [
        1.050_750_071_644_416_9e-9,
        5.475_938_084_995_345e-4,
        1.519_866_656_361_645_7e-2,
        1.481_039_764_274_800_8e-1,
        6.897_673_349_851e-1,
        1.676_384_830_183_803_8e0,
        2.053_191_626_637_759e0,
        1.0,
    ],
);

const TAIL: Ratio = (
    [
        2.010_334_399_292_288_1e-7,
        2.711_555_568_743_487_6e-5,
        1.242_660_947_388_078_4e-3,
        2.653_218_952_657_612_4e-2,
        2.965_605_718_285_048_7e-1,
        1.784_826_539_917_291_3e0,
        5.463_784_911_164_114e0,
        6.657_904_643_501_103e0,
    ],
    [
        2.044_263_103_389_939_8e-15,
        1.421_511_758_316_446e-7,
        1.846_318_317_510_054_8e-5,
        7.868_691_311_456_133e-4,
        1.487_536_129_085_061_5e-2,
        1.369_298_809_227_358e-1,
        5.998_322_065_558_88e-1,
        1.0,
    ],
);
