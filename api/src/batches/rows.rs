//! Items read page by page, so that however many there are, few are in memory.

use crate::tables::{Kind, Part};
use mecapy_model::{BatchState, Item, ItemRange, TaskState, TenantId, sweep::Sweep};
use mecapy_store::{BatchRow, BatchSource, ItemRow, Store, StoreError, chunk_items};
use serde::Serialize;

/// Items that tables read at once.
pub const ROWS_PAGE: u32 = 500;

/// What an item's row is made of, in its order.
pub const PARTS: [Part; 9] = [
    Part::Fixed("index", &[("", Kind::Integer)]),
    Part::Fixed("state", &[("", Kind::Text)]),
    Part::Found("inputs"),
    Part::Found("result"),
    Part::Fixed("error", &[("kind", Kind::Text), ("message", Kind::Text)]),
    Part::Fixed("warnings", &[]),
    Part::Fixed("seed", &[("", Kind::Integer)]),
    Part::Fixed(
        "usage",
        &[
            ("fuel", Kind::Integer),
            ("memory_peak_bytes", Kind::Integer),
            ("cpu_ms", Kind::Double),
            ("queued_ms", Kind::Double),
            ("startup_ms", Kind::Double),
            ("execute_ms", Kind::Double),
        ],
    ),
    Part::Fixed("task", &[("", Kind::Text)]),
];

/// One item: the JSON text of each of [`PARTS`].
#[derive(Debug)]
pub struct RowTexts {
    pub index: u32,
    pub state: TaskState,
    texts: [String; PARTS.len()],
}

/// Reads the items of a batch in their order.
pub struct Rows {
    store: Store,
    tenant: TenantId,
    batch: BatchRow,
    inputs: Inputs,
    /// Chunks that run.
    running: Vec<ItemRange>,
    only_failed: bool,
    /// The first item of the next page.
    next: u32,
    /// Which items had ended when they were read first: those that end later are not in a table that has its columns
    /// already.
    ended: Option<Vec<bool>>,
    looks_again: bool,
}

/// Where inputs come from.
enum Inputs {
    Sweep(Box<Sweep>),
    /// Those of the items that were read last, and of their neighbours.
    Items(Vec<Item>),
}

impl RowTexts {
    /// The JSON text of each part.
    pub fn parts(&self) -> [&str; PARTS.len()] {
        self.texts.each_ref().map(String::as_str)
    }

    /// The result's JSON text; `null` where there is none.
    pub fn result(&self) -> &str {
        let [_, _, _, result, ..] = &self.texts;
        result
    }

    /// The inputs' JSON text.
    pub fn inputs(&self) -> &str {
        let [_, _, inputs, ..] = &self.texts;
        inputs
    }

    fn new(index: u32, state: TaskState, inputs: &str, seed: u64) -> Self {
        let null = || "null".to_owned();
        let (index_text, state_text) = (index.to_string(), format!("\"{state}\""));
        let inputs = inputs.to_owned();
        let seed = seed.to_string();
        let texts = [index_text, state_text, inputs, null(), null(), "[]".to_owned(), seed, null(), null()];
        Self { index, state, texts }
    }

    fn of(row: &ItemRow, inputs: &str) -> Self {
        let mut texts = Self::new(row.index, row.state, inputs, row.seed);
        let [_, _, _, result, error, warnings, _, usage, task] = &mut texts.texts;
        if let Some(found) = &row.result {
            *result = found.get().to_owned();
        }
        *error = json(&row.error);
        *warnings = json(&row.warnings);
        *usage = json(&row.usage);
        *task = json(&row.task);
        texts
    }
}

impl Rows {
    /// The items of a batch, or only those that failed.
    ///
    /// # Errors
    /// The store failed, or has a sweep that can't be read.
    pub async fn open(store: Store, batch: BatchRow, only_failed: bool) -> Result<Self, StoreError> {
        let inputs = match &batch.source {
            BatchSource::Sweep(text) => {
                let sweep = Sweep::parse(text)
                    .map_err(|faults| StoreError::Corrupt { what: format!("a sweep with faults: {faults:?}") })?;
                Inputs::Sweep(Box::new(sweep))
            }
            BatchSource::Items(_) => Inputs::Items(Vec::new()),
        };
        let tenant = batch.tenant;
        let running = match batch.state {
            BatchState::Running => store.running_items(tenant, batch.id).await?,
            _ => Vec::new(),
        };
        Ok(Self { store, tenant, batch, inputs, running, only_failed, next: 0, ended: None, looks_again: false })
    }

    /// The same from an item on.
    #[must_use]
    pub fn from(self, next: u32) -> Self {
        Self { next, ..self }
    }

    /// Remembers from now on which items have ended, so that [`again`](Self::again) finds the same.
    pub fn remember(&mut self) {
        self.ended = Some(vec![false; usize::try_from(self.batch.total).unwrap_or(0)]);
    }

    /// Begins once more, for those who look twice: what has ended since the first look counts as it did then.
    pub fn again(&mut self) {
        self.next = 0;
        self.looks_again = true;
    }

    /// The first item that no page had yet; the batch's total at the end.
    pub fn next(&self) -> u32 {
        self.next
    }

    pub fn is_only_failed(&self) -> bool {
        self.only_failed
    }

    pub fn batch(&self) -> &BatchRow {
        &self.batch
    }

    /// The next items, `limit` at most and fewer where results are long; none at the end.
    pub async fn page(&mut self, limit: u32) -> Result<Vec<RowTexts>, StoreError> {
        if self.next >= self.batch.total {
            return Ok(Vec::new());
        }
        if self.only_failed {
            return self.failed(limit).await;
        }
        let found = self.store.batch_items(self.tenant, self.batch.id, self.next, limit).await?;
        // Between the items of a page none is missing, and where there is none, none ended from here on.
        let end = found.last().map_or(self.batch.total, |last| last.index.saturating_add(1));
        let end = end.min(self.next.saturating_add(limit)).min(self.batch.total);
        let mut found = found.into_iter().peekable();
        let mut rows = Vec::new();
        for index in self.next..end {
            let row = found.next_if(|row| row.index == index);
            let row = row.filter(|_| self.counts(index));
            let inputs = self.inputs_of(index).await?;
            rows.push(match &row {
                Some(row) => RowTexts::of(row, &inputs),
                None => {
                    let seed = self.batch.seed.wrapping_add(u64::from(index));
                    RowTexts::new(index, self.unfinished(index), &inputs, seed)
                }
            });
        }
        self.next = end;
        Ok(rows)
    }

    async fn failed(&mut self, limit: u32) -> Result<Vec<RowTexts>, StoreError> {
        let mut rows = Vec::new();
        // All items of a page may have failed since the first look, and still there may be more.
        while rows.is_empty() && self.next < self.batch.total {
            let found = self.store.failed_batch_items(self.tenant, self.batch.id, self.next, limit).await?;
            let is_last = found.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            let last = found.last().filter(|_| !is_last);
            self.next = last.map_or(self.batch.total, |last| last.index.saturating_add(1));
            for row in found {
                if self.counts(row.index) {
                    let inputs = self.inputs_of(row.index).await?;
                    rows.push(RowTexts::of(&row, &inputs));
                }
            }
        }
        Ok(rows)
    }

    /// Whether an item that has ended counts: at the first look each does.
    fn counts(&mut self, index: u32) -> bool {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        match (&mut self.ended, self.looks_again) {
            (Some(ended), false) => {
                if let Some(ended) = ended.get_mut(place) {
                    *ended = true;
                }
                true
            }
            (Some(ended), true) => ended.get(place).copied().unwrap_or(false),
            (None, _) => true,
        }
    }

    fn unfinished(&self, index: u32) -> TaskState {
        let runs = |range: &ItemRange| (range.first..range.first.saturating_add(range.count)).contains(&index);
        match self.batch.state.is_terminal() {
            // It ended between the look at the batch and the one at its items, or the other way round.
            true => TaskState::Cancelled,
            false if self.running.iter().any(runs) => TaskState::Running,
            false => TaskState::Queued,
        }
    }

    /// The inputs of an item. Explicit ones are read a chunk at a time.
    async fn inputs_of(&mut self, index: u32) -> Result<String, StoreError> {
        let known = match &mut self.inputs {
            Inputs::Sweep(sweep) => return Ok(sweep.item(index)),
            Inputs::Items(known) => known,
        };
        let place = |items: &[Item]| {
            let at = items.binary_search_by_key(&index, |item| item.index).ok()?;
            items.get(at).map(|item| item.inputs.get().to_owned())
        };
        if let Some(inputs) = place(known) {
            return Ok(inputs);
        }
        let step = chunk_items(self.batch.total).max(1);
        let first = index - index % step;
        *known = self.store.batch_inputs(self.tenant, self.batch.id, first, step).await?;
        Ok(place(known).unwrap_or_else(|| "null".to_owned()))
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
