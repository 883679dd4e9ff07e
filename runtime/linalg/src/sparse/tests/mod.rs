//! Sparse systems in a memory of their own: what is solved, what is declined, and what a hostile guest can't do.

mod factors;
mod solving;

use super::serve;
use crate::{Context, Host, Instructions, Stop, Unlimited};

/// A square matrix by columns, with the arrays of a guest.
#[derive(Debug, Clone)]
struct Sparse {
    size: usize,
    starts: Vec<u32>,
    rows: Vec<u32>,
    values: Vec<f64>,
}

impl Sparse {
    /// Elements at the same place are added up.
    fn of(size: usize, elements: impl IntoIterator<Item = (usize, usize, f64)>) -> Self {
        let mut columns = vec![std::collections::BTreeMap::new(); size];
        for (row, column, value) in elements {
            *columns[column].entry(row as u32).or_insert(0.0) += value;
        }
        let mut sparse = Self { size, starts: vec![0], rows: Vec::new(), values: Vec::new() };
        for column in columns {
            sparse.rows.extend(column.keys());
            sparse.values.extend(column.values());
            sparse.starts.push(sparse.rows.len() as u32);
        }
        sparse
    }

    /// A grid of `side`×`side`, each point coupled to its four neighbours; `wind` makes the values unsymmetric, and `shift`
    /// is subtracted from the diagonal.
    fn grid(side: usize, wind: f64, shift: f64) -> Self {
        let mut elements = Vec::new();
        for x in 0..side {
            for y in 0..side {
                let own = x * side + y;
                elements.push((own, own, 4.0 - shift));
                let others = [(x + 1 < side).then_some(own + side), (y + 1 < side).then_some(own + 1)];
                for other in others.into_iter().flatten() {
                    elements.extend([(own, other, -1.0 - wind), (other, own, -1.0 + wind)]);
                }
            }
        }
        Self::of(side * side, elements)
    }

    /// Symmetric and positive definite, of joints with `each` columns that are coupled in random pairs.
    fn frame(joints: usize, each: usize, random: &mut Random) -> Self {
        let size = joints * each;
        let mut elements: Vec<_> = (0..size).map(|at| (at, at, 1e-3)).collect();
        for joint in 1..joints {
            for other in [joint - 1, random.below(joint)] {
                let b: Vec<f64> = (0..2 * each).map(|_| random.number()).collect();
                let column = |at: usize| if at < each { joint * each + at } else { other * each + at - each };
                for i in 0..2 * each {
                    elements.extend((0..2 * each).map(|j| (column(i), column(j), b[i] * b[j] + f64::from(i == j))));
                }
            }
        }
        Self::of(size, elements)
    }

    fn times(&self, x: &[f64], is_transposed: bool) -> Vec<f64> {
        let mut b = vec![0.0; self.size];
        for column in 0..self.size {
            for at in self.starts[column] as usize..self.starts[column + 1] as usize {
                let row = self.rows[at] as usize;
                let (to, from) = if is_transposed { (column, row) } else { (row, column) };
                b[to] += self.values[at] * x[from];
            }
        }
        b
    }
}

/// Numbers that are the same in each run (xorshift).
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn number(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn below(&mut self, count: usize) -> usize {
        (self.word() % count as u64) as usize
    }

    fn numbers(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.number()).collect()
    }
}

/// A guest's memory with a matrix, right-hand sides, room for solutions, an order and factors.
struct Guest {
    words: Vec<u64>,
    size: u64,
    len: u64,
    starts: u64,
    rows: u64,
    values: u64,
    given: u64,
    solution: u64,
    order: u64,
    end: u64,
}

const UNTOUCHED: f64 = 7.25;

impl Guest {
    fn new(matrix: &Sparse, given: &[f64]) -> Self {
        let mut words = vec![0; 2];
        let mut put = |bytes: Vec<u8>| {
            let address = 8 * words.len() as u64;
            words.extend(bytes.chunks(8).map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            }));
            address
        };
        let starts = put(matrix.starts.iter().flat_map(|v| v.to_le_bytes()).collect());
        let rows = put(matrix.rows.iter().flat_map(|v| v.to_le_bytes()).collect());
        let values = put(matrix.values.iter().flat_map(|v| v.to_le_bytes()).collect());
        let at_given = put(given.iter().flat_map(|v| v.to_le_bytes()).collect());
        let solution = put(given.iter().flat_map(|_| UNTOUCHED.to_le_bytes()).collect());
        let order = put(vec![0; 4 * matrix.size]);
        let (size, len, end) = (matrix.size as u64, matrix.rows.len() as u64, 8 * words.len() as u64);
        Self { words, size, len, starts, rows, values, given: at_given, solution, order, end }
    }

    fn matrix(&self) -> [u64; 5] {
        [self.size, self.len, self.starts, self.rows, self.values]
    }

    fn columns(&self) -> u64 {
        (self.solution - self.given) / 8 / self.size
    }

    fn ask(&mut self, host: &mut dyn Host, request: &[u8]) -> Result<Vec<u8>, Stop> {
        let mut cx = Context::new(host, Instructions::X86_64).unwrap();
        serve(&mut cx, super::work::bytes_mut(&mut self.words), request)
    }

    fn solve_request(&self, is_transposed: bool) -> Vec<u8> {
        request(1, is_transposed, &[&self.matrix()[..], &[self.given, self.columns(), self.solution]].concat())
    }

    fn solve(&mut self, is_transposed: bool) -> Result<Vec<u8>, Stop> {
        let request = self.solve_request(is_transposed);
        self.ask(&mut Unlimited, &request)
    }

    /// Analyses and factors; returns where the factors are, and their bytes.
    fn factor(&mut self) -> Result<[u64; 2], Stop> {
        let answer = self.ask(&mut Unlimited, &request(2, false, &[&self.matrix()[..], &[self.order]].concat()))?;
        let sizes = answer[1..].as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        for (method, bytes) in (0..).zip(sizes) {
            if bytes == 0 {
                continue;
            }
            self.words.truncate(self.end as usize / 8);
            self.words.resize((self.end + bytes) as usize / 8, u64::MAX);
            let words = [&self.matrix()[..], &[self.order, method, self.end, bytes]].concat();
            if self.ask(&mut Unlimited, &request(3, false, &words))? == b"+" {
                return Ok([self.end, bytes]);
            }
        }
        Err(Stop::Declined)
    }

    fn solve_with(&mut self, factors: [u64; 2], is_transposed: bool) -> Result<Vec<u8>, Stop> {
        let sides = [self.given, self.columns(), self.solution];
        let words = [&self.matrix()[..], &factors, &sides].concat();
        self.ask(&mut Unlimited, &request(4, is_transposed, &words))
    }

    fn solutions(&self) -> Vec<f64> {
        let words = &self.words[self.solution as usize / 8..][..(self.size * self.columns()) as usize];
        words.iter().map(|word| f64::from_bits(*word)).collect()
    }
}

fn request(operation: u8, is_transposed: bool, words: &[u64]) -> Vec<u8> {
    let head = [operation, u8::from(is_transposed), 0, 0, 0, 0, 0, 0];
    head.into_iter().chain(words.iter().flat_map(|word| word.to_le_bytes())).collect()
}

/// Whether each solution has the residual of a stable solve.
fn assert_solved(matrix: &Sparse, given: &[f64], x: &[f64], is_transposed: bool) {
    for (x, b) in x.chunks(matrix.size).zip(given.chunks(matrix.size)) {
        let largest = x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        for (ax, b) in matrix.times(x, is_transposed).iter().zip(b) {
            let scale = matrix.values.iter().fold(0.0, |largest: f64, v| largest.max(v.abs())) * largest * 20.0;
            assert!((ax - b).abs() <= 1e-13 * (scale + b.abs()), "{ax} is not {b}");
        }
    }
}
