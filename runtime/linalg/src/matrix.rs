//! Views of matrices: an address, a size and two steps. A transpose is a view, and so is a conjugate.

use crate::Scalar;
use std::marker::PhantomData;

/// A matrix that is read. Element (i, j) is `row_step * i + col_step * j` elements after the first.
#[derive(Debug, Clone, Copy)]
pub struct Mat<'m, T> {
    first: *const T,
    pub rows: usize,
    pub cols: usize,
    pub row_step: isize,
    pub col_step: isize,
    /// Whether each element stands for its conjugate.
    pub is_conjugated: bool,
    memory: PhantomData<&'m T>,
}

/// A matrix that is written.
#[derive(Debug)]
pub struct MatMut<'m, T> {
    first: *mut T,
    pub rows: usize,
    pub cols: usize,
    pub row_step: isize,
    pub col_step: isize,
    memory: PhantomData<&'m mut T>,
}

impl<'m, T: Scalar> Mat<'m, T> {
    /// # Safety
    /// Every element of the matrix is aligned, initialised memory that nobody writes during `'m`.
    pub unsafe fn from_raw(
        first: *const T,
        (rows, cols): (usize, usize),
        (row_step, col_step): (isize, isize),
    ) -> Self {
        Self { first, rows, cols, row_step, col_step, is_conjugated: false, memory: PhantomData }
    }

    /// A matrix by columns that are `leading` elements apart; `None` where the slice is too short for it.
    pub fn by_columns(elements: &'m [T], (rows, cols): (usize, usize), leading: usize) -> Option<Self> {
        fits(elements.len(), (rows, cols), leading)
            // SAFETY: the slice covers every element, as was just checked.
            .then(|| unsafe { Self::from_raw(elements.as_ptr(), (rows, cols), (1, leading as isize)) })
    }

    pub fn first(&self) -> *const T {
        self.first
    }

    pub fn t(self) -> Self {
        let (rows, cols) = (self.cols, self.rows);
        let (row_step, col_step) = (self.col_step, self.row_step);
        Self { rows, cols, row_step, col_step, ..self }
    }

    pub fn conj(self) -> Self {
        Self { is_conjugated: self.is_conjugated != T::IS_COMPLEX, ..self }
    }

    /// The conjugate transpose.
    pub fn h(self) -> Self {
        self.t().conj()
    }

    pub fn get(&self, row: usize, col: usize) -> T {
        debug_assert!(row < self.rows && col < self.cols);
        // SAFETY: within the matrix.
        let value = unsafe { *self.at(row, col) };
        if self.is_conjugated { value.conj() } else { value }
    }

    /// The part of `rows` by `cols` that begins at (row, col). It is a mistake of the caller's to reach beyond the matrix.
    pub fn part(self, (row, col): (usize, usize), (rows, cols): (usize, usize)) -> Self {
        assert!(row + rows <= self.rows && col + cols <= self.cols, "a part beyond its matrix");
        // An empty part has no first element: its address is never read, nor computed beyond the matrix.
        let first = if rows == 0 || cols == 0 { self.first } else { self.at(row, col) };
        Self { first, rows, cols, ..self }
    }

    fn at(&self, row: usize, col: usize) -> *const T {
        // Wrapping, so that no promise is made here: whoever reads checks (row, col) first.
        self.first.wrapping_offset(row as isize * self.row_step + col as isize * self.col_step)
    }
}

impl<'m, T: Scalar> MatMut<'m, T> {
    /// # Safety
    /// Every element of the matrix is aligned, initialised memory that nobody else reads or writes during `'m`, and no two
    /// elements share memory.
    pub unsafe fn from_raw(first: *mut T, (rows, cols): (usize, usize), (row_step, col_step): (isize, isize)) -> Self {
        Self { first, rows, cols, row_step, col_step, memory: PhantomData }
    }

    /// A matrix by columns that are `leading` elements apart; `None` where the slice is too short for it, or columns overlap.
    pub fn by_columns(elements: &'m mut [T], (rows, cols): (usize, usize), leading: usize) -> Option<Self> {
        let is_apart = cols <= 1 || leading >= rows;
        (is_apart && fits(elements.len(), (rows, cols), leading))
            // SAFETY: the slice covers every element, once each, as was just checked.
            .then(|| unsafe { Self::from_raw(elements.as_mut_ptr(), (rows, cols), (1, leading as isize)) })
    }

    pub fn first(&mut self) -> *mut T {
        self.first
    }

    /// The same matrix for a while.
    pub fn reborrow(&mut self) -> MatMut<'_, T> {
        MatMut { memory: PhantomData, ..*self }
    }

    pub fn read(&self) -> Mat<'_, T> {
        let (rows, cols, row_step, col_step) = (self.rows, self.cols, self.row_step, self.col_step);
        Mat { first: self.first, rows, cols, row_step, col_step, is_conjugated: false, memory: PhantomData }
    }

    pub fn t(self) -> Self {
        let (rows, cols) = (self.cols, self.rows);
        let (row_step, col_step) = (self.col_step, self.row_step);
        Self { rows, cols, row_step, col_step, ..self }
    }

    pub fn get(&self, row: usize, col: usize) -> T {
        self.read().get(row, col)
    }

    pub fn set(&mut self, row: usize, col: usize, value: T) {
        debug_assert!(row < self.rows && col < self.cols);
        // SAFETY: within the matrix.
        unsafe { *self.at(row, col) = value }
    }

    /// The part of `rows` by `cols` that begins at (row, col). It is a mistake of the caller's to reach beyond the matrix.
    pub fn part(self, (row, col): (usize, usize), (rows, cols): (usize, usize)) -> Self {
        assert!(row + rows <= self.rows && col + cols <= self.cols, "a part beyond its matrix");
        let first = if rows == 0 || cols == 0 { self.first } else { self.at(row, col) };
        Self { first, rows, cols, ..self }
    }

    /// The rows before `row` and those from it on.
    pub fn split_rows(self, row: usize) -> (Self, Self) {
        assert!(row <= self.rows, "a split beyond its matrix");
        let (rows, cols) = (self.rows, self.cols);
        let upper = Self { rows: row, ..self };
        let lower = Self { memory: PhantomData, ..upper };
        (upper, Self { rows, ..lower }.part((row, 0), (rows - row, cols)))
    }

    /// The columns before `col` and those from it on.
    pub fn split_cols(self, col: usize) -> (Self, Self) {
        let (left, right) = self.t().split_rows(col);
        (left.t(), right.t())
    }

    /// The four parts that meet at (row, col): upper left, upper right, lower left, lower right.
    pub fn split(self, row: usize, col: usize) -> [Self; 4] {
        let (upper, lower) = self.split_rows(row);
        let ((a, b), (c, d)) = (upper.split_cols(col), lower.split_cols(col));
        [a, b, c, d]
    }

    fn at(&self, row: usize, col: usize) -> *mut T {
        self.first.wrapping_offset(row as isize * self.row_step + col as isize * self.col_step)
    }
}

fn fits(len: usize, (rows, cols): (usize, usize), leading: usize) -> bool {
    if rows == 0 || cols == 0 {
        return true;
    }
    let last = (cols - 1).checked_mul(leading).and_then(|before| before.checked_add(rows));
    last.is_some_and(|last| last <= len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_covers_each_element_once() {
        let mut elements: Vec<f64> = (0..12).map(f64::from).collect();
        let whole = MatMut::by_columns(&mut elements, (3, 4), 3).unwrap();
        let [a, b, c, d] = whole.split(1, 2);
        let sizes = [(1, 2), (1, 2), (2, 2), (2, 2)];
        assert_eq!([&a, &b, &c, &d].map(|part| (part.rows, part.cols)), sizes);
        assert_eq!([a.get(0, 1), b.get(0, 0), c.get(1, 0), d.get(1, 1)], [3.0, 6.0, 2.0, 11.0]);
        assert_eq!(d.t().get(1, 0), 10.0);
    }

    #[test]
    fn a_slice_too_short_is_no_matrix() {
        let mut elements = [0.0; 11];
        assert!(Mat::by_columns(&elements, (3, 4), 3).is_none());
        assert!(Mat::by_columns(&elements, (2, 4), 3).is_some());
        assert!(Mat::by_columns(&elements, (2, usize::MAX), usize::MAX).is_none());
        assert!(Mat::by_columns(&elements, (0, 9), 9).is_some());
        assert!(MatMut::by_columns(&mut elements, (3, 2), 2).is_none(), "overlapping columns");
    }
}
