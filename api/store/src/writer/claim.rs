//! Choosing what runs next, and taking it.

use super::lines::{self, Waiting};
use super::only_line::{self, Within};
use super::state::Writer;
use super::submit::EVENTS;
use crate::clock::{from_unix_ms, millis};
use crate::counts::turns_of;
use crate::reading::{ReadTask, TASK_COLUMNS, read_task, task_columns, task_from};
use crate::shared::{Change, Group, Place, Turn};
use crate::sql::{Dialect, Rows, pieces, query, script, union_all, with_list};
use crate::{ClaimRef, ClaimRequest, Claimed, Claims, LeaseToken, StoreError};
use mecapy_model::{Executor, Lane, Room, TaskState, TenantId, Transition};
use std::collections::{BTreeSet, HashMap, VecDeque};

/// How many tasks one claim takes at most, whatever was asked.
const CLAIM_MAX: u32 = 256;

/// The tasks of one group that may start. A process that had not heard yet that a tenant is disabled may have put a task
/// back among them.
macro_rules! startable {
    () => {
        startable!("?", "?", "?", "?")
    };
    ($lane:literal, $rank:literal, $group:literal, $now_ms:literal) => {
        concat!(
            "FROM tasks WHERE state = 'queued' AND lane = ",
            $lane,
            " AND queue_rank = ",
            $rank,
            " AND queue_group = ",
            $group,
            " AND due_ms <= ",
            $now_ms,
            " AND NOT EXISTS (SELECT 1 FROM tenants q WHERE q.id = tasks.tenant AND q.disabled = 1)"
        )
    };
}
pub(super) use startable;

/// Up to `#`'s limit of them, oldest first.
const HEADS: &str = concat!(
    "SELECT * FROM (SELECT CAST(# AS BIGINT) AS line, due_ms, no, cpus, memory_bytes ",
    startable!(),
    " ORDER BY due_ms, no LIMIT ?{lock}) AS heads"
);
/// The same of tasks that run in containers, without those that need more than a worker has.
const CONTAINER_HEADS: &str = concat!(
    "SELECT * FROM (SELECT CAST(# AS BIGINT) AS line, due_ms, no, cpus, memory_bytes ",
    startable!(),
    " AND cpus <= ? AND memory_bytes <= ? ORDER BY due_ms, no LIMIT ?{lock}) AS heads"
);
/// What [`HEADS`] finds of one group alone, whole: PostgreSQL then need not be asked twice. The rows are read as they
/// were locked, and what belongs to them one by one, whatever the planner believes of a table's size.
const WHOLE_HEADS: &str = concat!(
    "WITH heads AS MATERIALIZED (SELECT * ",
    startable!(),
    " ORDER BY due_ms, no LIMIT ? FOR UPDATE SKIP LOCKED) SELECT ",
    task_columns!("s.inputs"),
    ", t.due_ms FROM heads t CROSS JOIN LATERAL (SELECT * FROM task_specs WHERE no = t.no OFFSET 0) s \
     LEFT JOIN LATERAL (SELECT * FROM results WHERE no = t.no OFFSET 0) r ON TRUE \
     LEFT JOIN LATERAL (SELECT * FROM task_usage WHERE no = t.no OFFSET 0) u ON TRUE ORDER BY t.due_ms, t.no"
);

/// The oldest tasks of one group, and how many of its tasks run or have been chosen.
struct Line {
    turn: Turn,
    heads: VecDeque<Head>,
}

/// A task that may start, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    due_ms: i64,
    no: i64,
    needs: Needs,
}

/// Cores, and bytes of memory: none in a sandbox, whose worker counts threads.
type Needs = (u32, u64);

fn room((cpus, memory_bytes): Needs) -> Room {
    Room { cpus, memory_bytes }
}

/// What may still be chosen.
struct Wanted {
    request: ClaimRequest,
    count: usize,
    /// What was chosen of each group.
    chosen: HashMap<Group, u64>,
    /// How many tasks of a tenant with a running quota may run in this lane.
    running_max: HashMap<TenantId, u64>,
    /// What each group started within the last minute, where the request limits that.
    started: HashMap<Group, u64>,
    /// What the worker has free beside what was chosen.
    free: Room,
    /// What the next one needs, where that is not free.
    waits_for: Option<Room>,
    /// Tasks that were read when they were looked for, by number.
    read: HashMap<i64, ReadTask>,
}

/// Claims tasks as [`Store::claim_or_wait`](crate::Store::claim_or_wait) says.
pub(super) async fn claim(writer: &mut Writer, request: ClaimRequest) -> Result<Claims, StoreError> {
    let mut chosen = Vec::new();
    let count = count_of(&request);
    if only_line::may_be(writer, &request) {
        let claimed = only_line::claim(writer, request, count, Within::Open).await?;
        if !claimed.is_empty() {
            return Ok(Claims { claimed, waits_for: None });
        }
    }
    let Waiting { ranks, running_max } = lines::waiting(writer, request.lane, request.executor).await?;
    if ranks.values().map(Vec::len).sum::<usize>() > 1 {
        writer.several_lines.insert(request.lane);
    } else {
        writer.several_lines.remove(&request.lane);
    }
    if ranks.is_empty() {
        return Ok(Claims::default());
    }
    let count = count.min(lines::room_in_lane(writer, &request).await?);
    let started = lines::lately_started(writer, &request).await?;
    let mut wanted = Wanted {
        free: request.free,
        request,
        count,
        chosen: HashMap::new(),
        running_max,
        started,
        waits_for: None,
        read: HashMap::new(),
    };
    for (rank, turns) in ranks {
        if wanted.count == 0 || wanted.waits_for.is_some() {
            break;
        }
        chosen.extend(choose(writer, rank, turns, &mut wanted).await?);
    }
    let waits_for = wanted.waits_for;
    Ok(Claims { claimed: take(writer, &chosen, wanted).await?, waits_for })
}

/// How many tasks a claim takes at most.
pub(super) fn count_of(request: &ClaimRequest) -> usize {
    usize::try_from(request.max.min(CLAIM_MAX)).unwrap_or(0)
}

/// The numbers of the tasks of one rank to start, in order.
async fn choose(
    writer: &mut Writer,
    rank: i64,
    mut turns: Vec<Turn>,
    wanted: &mut Wanted,
) -> Result<Vec<i64>, StoreError> {
    let lane = wanted.request.lane;
    for turn in &mut turns {
        turn.running += wanted.chosen.get(&turn.group).copied().unwrap_or(0);
    }
    turns.sort_by_key(Turn::order);
    let mut turns = VecDeque::from(turns);
    let mut lines: Vec<Line> = Vec::new();
    while !turns.is_empty() {
        // In the default lane the first groups with something to start are all that can get a turn in this claim; in a
        // FIFO lane the oldest task may be in any group.
        let short = match lane {
            Lane::Default => wanted.count.saturating_sub(lines.len()).min(turns.len()),
            Lane::HighPriority | Lane::LongRunning => turns.len(),
        };
        if short == 0 {
            break;
        }
        let next: Vec<Line> = turns
            .drain(..short)
            .map(|turn| Line { turn, heads: VecDeque::new() })
            .filter(|line| wanted.room(line) > 0)
            .collect();
        lines.extend(load_heads(writer, rank, wanted, next).await?);
    }
    let mut chosen = Vec::with_capacity(wanted.count);
    while chosen.len() < wanted.count {
        let open = lines.iter_mut().filter(|line| !line.heads.is_empty() && wanted.room(line) > 0);
        let next = match lane {
            Lane::Default => open.min_by_key(|line| line.turn.order()),
            Lane::HighPriority | Lane::LongRunning => open.min_by_key(|line| line.heads.front().copied()),
        };
        let Some(line) = next else { break };
        let Some(head) = line.heads.pop_front() else { break };
        // Whoever is next waits for its room, and nobody overtakes it: small tasks would keep a large one out for ever.
        if !wanted.free.holds(room(head.needs)) {
            wanted.waits_for = Some(room(head.needs));
            break;
        }
        wanted.free = wanted.free.without(room(head.needs));
        line.turn.running += 1;
        *wanted.chosen.entry(line.turn.group).or_default() += 1;
        chosen.push(head.no);
    }
    wanted.count -= chosen.len();
    Ok(chosen)
}

impl Wanted {
    /// How many tasks of the line are worth reading.
    fn limit(&self, line: &Line) -> i64 {
        let limit = u64::try_from(self.count).unwrap_or(u64::MAX).min(self.room(line));
        i64::try_from(limit).unwrap_or(i64::MAX)
    }

    /// How many more tasks of the line may start.
    fn room(&self, line: &Line) -> u64 {
        let group = line.turn.group;
        let Group::Tenant(tenant) = group else { return u64::MAX };
        let left = |max: Option<u64>, used: u64| max.map_or(u64::MAX, |max| max.saturating_sub(used));
        let of = |counts: &HashMap<Group, u64>| counts.get(&group).copied().unwrap_or(0);
        let quota = left(self.running_max.get(&tenant).copied(), line.turn.running);
        let running = left(self.request.running_per_tenant_max.map(u64::from), line.turn.running);
        match self.request.lane {
            Lane::HighPriority => quota,
            Lane::Default => quota.min(running),
            Lane::LongRunning => {
                let starts =
                    left(self.request.starts_per_minute_max.map(u64::from), of(&self.started) + of(&self.chosen));
                quota.min(running).min(starts)
            }
        }
    }
}

/// Reads the oldest tasks of each line; drops the lines that have nothing to start.
async fn load_heads(
    writer: &mut Writer,
    rank: i64,
    wanted: &mut Wanted,
    mut lines: Vec<Line>,
) -> Result<Vec<Line>, StoreError> {
    if let (Dialect::Postgres, Executor::Sandbox, [line]) =
        (writer.dialect, wanted.request.executor, lines.as_mut_slice())
    {
        load_whole(writer, rank, wanted, line).await?;
        lines.retain(|line| !line.heads.is_empty());
        return Ok(lines);
    }
    let lane = wanted.request.lane;
    let mut loaded = Vec::with_capacity(lines.len());
    while !lines.is_empty() {
        let length = pieces(&lines).next().map_or(lines.len(), <[Line]>::len);
        let mut piece: Vec<Line> = lines.drain(..length).collect();
        let heads = if wanted.request.executor == Executor::Container { CONTAINER_HEADS } else { HEADS };
        let mut query = query(union_all(heads, writer.dialect.lock_free_rows(), piece.len()));
        for line in &piece {
            query = query.bind(lane.as_str()).bind(rank).bind(line.turn.group.id()).bind(writer.now_ms);
            if wanted.request.executor == Executor::Container {
                let total = wanted.request.total;
                query = query.bind(total.cpus).bind(i64::try_from(total.memory_bytes).unwrap_or(i64::MAX));
            }
            query = query.bind(wanted.limit(line));
        }
        for row in query.fetch_all(&mut writer.conn).await? {
            let line: i64 = row.try_get(0)?;
            let line = usize::try_from(line).ok().and_then(|line| piece.get_mut(line));
            if let Some(line) = line {
                let cpus = row.try_get::<Option<i64>>(3)?.and_then(|cpus| u32::try_from(cpus).ok());
                let memory_bytes = row.try_get::<Option<i64>>(4)?.and_then(|bytes| u64::try_from(bytes).ok());
                let needs = (cpus.unwrap_or(0), memory_bytes.unwrap_or(0));
                line.heads.push_back(Head { due_ms: row.try_get(1)?, no: row.try_get(2)?, needs });
            }
        }
        for line in piece {
            if line.heads.is_empty() {
                rest(writer, Place { lane, rank, group: line.turn.group }).await?;
            } else {
                loaded.push(line);
            }
        }
    }
    Ok(loaded)
}

/// The same of one line, with all there is to know of its tasks.
async fn load_whole(writer: &mut Writer, rank: i64, wanted: &mut Wanted, line: &mut Line) -> Result<(), StoreError> {
    let query = query(WHOLE_HEADS)
        .bind(wanted.request.lane.as_str())
        .bind(rank)
        .bind(line.turn.group.id())
        .bind(writer.now_ms)
        .bind(wanted.limit(line));
    for row in query.fetch_all(&mut writer.conn).await? {
        let read = read_task(&row)?;
        line.heads.push_back(Head { due_ms: row.try_get(TASK_COLUMNS)?, no: read.no, needs: (0, 0) });
        wanted.read.insert(read.no, read);
    }
    Ok(())
}

/// Remembers until when a group has nothing to start, so that claims leave it alone.
async fn rest(writer: &mut Writer, place: Place) -> Result<(), StoreError> {
    if writer.dialect == Dialect::Postgres {
        // The next claim asks the rows again.
        return Ok(());
    }
    let sql =
        "SELECT min(due_ms) FROM tasks WHERE state = 'queued' AND lane = ? AND queue_rank = ? AND queue_group = ?";
    let query = query(sql).bind(place.lane.as_str()).bind(place.rank).bind(place.group.id());
    let due: Option<i64> = query.fetch_one(&mut writer.conn).await?.try_get(0)?;
    writer.shared.counts().rest(place, due.unwrap_or(i64::MAX));
    Ok(())
}

/// Makes the chosen tasks running, under one new lease token.
async fn take(writer: &mut Writer, chosen: &[i64], wanted: Wanted) -> Result<Vec<Claimed>, StoreError> {
    let Wanted { request, read: mut known, .. } = wanted;
    let mut lease = LeaseToken([0; 16]);
    if !chosen.is_empty() {
        writer.clock.fill_random(&mut lease.0);
    }
    let mut claimed: HashMap<i64, Claimed> = HashMap::with_capacity(chosen.len());
    for piece in pieces(chosen) {
        let mut rows = queued_tasks(writer, piece, &mut known).await?;
        // Turns are counted in the order of the choice.
        rows.sort_by_key(|read| piece.iter().position(|no| *no == read.no));
        start(writer, &rows, request, lease).await?;
        for read in rows {
            claimed.insert(read.no, started(writer, read, request, lease)?);
        }
    }
    Ok(chosen.iter().filter_map(|no| claimed.remove(no)).collect())
}

/// Counts a task as running whose row says so within this transaction, and was read before.
pub(super) fn started(
    writer: &mut Writer,
    read: ReadTask,
    request: ClaimRequest,
    lease: LeaseToken,
) -> Result<Claimed, StoreError> {
    let ReadTask { no, lost_attempts, log_bytes, mut task, .. } = read;
    task.state = task.state.after(Transition::Claim).map_err(|error| StoreError::corrupt(error.to_string()))?;
    let place = writer.place(task.lane, request.executor, task.priority, task.tenant);
    let mut counts = writer.shared.counts();
    counts.unqueue(place, task.tenant);
    counts.start(task.lane, request.executor, task.tenant);
    drop(counts);
    writer.fresh().take(no);
    writer.changed(task.id, Change::Moved);
    if let Some(batch) = task.ties.batch {
        writer.tally(batch).started = true;
    }
    task.attempt += 1;
    task.fence += 1;
    task.started_at = Some(from_unix_ms(writer.now_ms));
    let claim = ClaimRef { task: task.id, tenant: task.tenant, fence: task.fence, lease, no };
    Ok(Claimed { task, claim, lost_attempts, log_bytes })
}

/// The queued tasks with these numbers: as they are known, as they were just accepted, or else read.
async fn queued_tasks(
    writer: &mut Writer,
    numbers: &[i64],
    known: &mut HashMap<i64, ReadTask>,
) -> Result<Vec<ReadTask>, StoreError> {
    let mut tasks = Vec::with_capacity(numbers.len());
    let mut unknown = Vec::new();
    for no in numbers {
        let fresh = writer.fresh().take(*no);
        let fresh = fresh.map(|task| ReadTask { no: *no, lost_attempts: 0, event_seq: 1, log_bytes: 0, task });
        match known.remove(no).or(fresh) {
            Some(read) => tasks.push(read),
            None => unknown.push(*no),
        }
    }
    for piece in pieces(&unknown) {
        tasks.extend(read_queued(writer, piece).await?);
    }
    Ok(tasks)
}

async fn read_queued(writer: &mut Writer, numbers: &[i64]) -> Result<Vec<ReadTask>, StoreError> {
    const HEAD: &str = concat!("SELECT ", task_columns!("s.inputs"), task_from!(), " WHERE t.no IN (");
    let mut query = query(with_list(HEAD, numbers.len(), ")"));
    for no in numbers {
        query = query.bind(*no);
    }
    let rows = query.fetch_all(&mut writer.conn).await?;
    rows.iter().map(read_task).collect()
}

/// queued → running, a compare-and-set, with its event, and for claims of other processes whose turn it was.
async fn start(
    writer: &mut Writer,
    tasks: &[ReadTask],
    request: ClaimRequest,
    lease: LeaseToken,
) -> Result<(), StoreError> {
    const START: Rows = Rows {
        head: "UPDATE tasks SET state = 'running', fence = fence + 1, attempt = attempt + 1, event_seq = event_seq + 1, \
               timed = 0, lease_token = v.column2, lease_until_ms = v.column3, started_ms = v.column4 FROM (",
        width: 5,
        // The state as an expression, so that no partial index of it is walked to find rows which are known by number.
        tail: ") AS v WHERE tasks.no = v.column1 AND tasks.state || '' = 'queued' AND tasks.event_seq = v.column5",
    };
    let turns_count = writer.dialect == Dialect::Postgres && request.lane != Lane::HighPriority;
    let statements: &[&Rows] = if turns_count { &[&START, &EVENTS, &lines::TURNS] } else { &[&START, &EVENTS] };
    let until = writer.lease_now_ms().saturating_add(millis(writer.options.lease));
    let mut query = script(statements, tasks.len());
    for read in tasks {
        query = query.bind(read.no).bind(lease.0.as_slice()).bind(until).bind(writer.now_ms).bind(read.event_seq);
    }
    for read in tasks {
        query = query
            .bind(read.no)
            .bind(read.event_seq + 1)
            .bind(writer.now_ms)
            .bind(TaskState::Running.as_str())
            .bind(read.task.attempt + 1);
    }
    // One change for the task and one for its event.
    let mut expected = 2 * tasks.len() as u64;
    if turns_count {
        for (turn, read) in (1_i64..).zip(tasks) {
            query = query.bind(turns_of(request.lane, request.executor)).bind(read.task.tenant).bind(turn);
        }
        expected += tasks.iter().map(|read| read.task.tenant).collect::<BTreeSet<_>>().len() as u64;
    }
    let changes = writer.run(query).await?;
    if changes == expected {
        Ok(())
    } else {
        Err(StoreError::corrupt(format!("starting {} queued tasks changed {changes} rows", tasks.len())))
    }
}
