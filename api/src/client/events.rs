//! An event stream (Server-Sent Events), followed across broken connections, and what a task's events say.

use super::{Client, ClientError, Patience};
use mecapy_model::{LogStream, Progress, TaskId, TaskState};
use reqwest::Response;
use serde::Deserialize;
use std::{collections::VecDeque, marker::PhantomData, time::Duration};

/// A server says something at least this often, be it only a comment; longer silence means a dead connection.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The longest event, bytes.
const EVENT_BYTES_MAX: usize = 8 << 20;

/// What an event of some stream says.
pub(crate) trait Told: Sized {
    /// `None` for what this client does not know.
    fn read(received: &ServerSentEvent) -> Option<Self>;

    /// Whether nothing comes after it.
    fn is_last(&self) -> bool;
}

/// Something that happened to a task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TaskEvent {
    State { state: TaskState },
    Progress(Progress),
    Log { stream: LogStream, text: String },
    Done { state: TaskState },
}

/// What following a stream brings next.
#[derive(Debug)]
pub(crate) enum Followed<E> {
    Event {
        event: E,
        received: ServerSentEvent,
    },
    /// The connection broke; it is made again after the wait.
    Interrupted {
        wait: Duration,
        /// Nothing was wrong before.
        first: bool,
    },
    /// The stream has ended, after its last event.
    End,
}

/// The events of one thing, from its first.
pub(crate) struct Events<'c, E> {
    client: &'c Client,
    path: String,
    last_event_id: Option<String>,
    response: Option<Response>,
    parser: EventParser,
    received: VecDeque<ServerSentEvent>,
    patience: Patience,
    pause: Option<Duration>,
    done: bool,
    told: PhantomData<E>,
}

/// The events of one task.
pub(crate) type TaskEvents<'c> = Events<'c, TaskEvent>;

impl<'c> TaskEvents<'c> {
    pub(crate) fn of_task(client: &'c Client, task: TaskId) -> Self {
        Self::new(client, format!("/v1/tasks/{task}/events"))
    }
}

impl<'c, E: Told> Events<'c, E> {
    pub(crate) fn new(client: &'c Client, path: String) -> Self {
        Self {
            client,
            path,
            last_event_id: None,
            response: None,
            parser: EventParser::default(),
            received: VecDeque::new(),
            patience: Patience::default(),
            pause: None,
            done: false,
            told: PhantomData,
        }
    }

    /// Waits for the next. Cancelling the wait loses nothing that was received.
    pub(crate) async fn next(&mut self) -> Result<Followed<E>, ClientError> {
        loop {
            while let Some(received) = self.received.pop_front() {
                if let Some(event) = E::read(&received) {
                    self.done |= event.is_last();
                    return Ok(Followed::Event { event, received });
                }
            }
            if self.done {
                return Ok(Followed::End);
            }
            if let Some(wait) = self.pause {
                tokio::time::sleep(wait).await;
                self.pause = None;
            }
            if let Err(error) = self.receive().await {
                return self.interrupted(error);
            }
        }
    }

    /// Connects where needed, and takes the next bytes.
    async fn receive(&mut self) -> Result<(), ClientError> {
        if self.response.is_none() {
            let response = self.client.open_events(&self.path, self.last_event_id.as_deref()).await?;
            self.parser = EventParser::default();
            self.response = Some(response);
        }
        let Some(response) = &mut self.response else { return Ok(()) };
        let url = || self.client.base_url().to_owned();
        let chunk = match tokio::time::timeout(SILENCE_MAX, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|source| ClientError::Unreachable { url: url(), source })?,
            Err(_) => None,
        };
        let Some(chunk) = chunk else { return Err(ClientError::TimedOut { url: url() }) };
        // A comment says that the server is there, as an event does.
        self.patience.restore();
        if self.parser.push(&chunk, &mut self.received).is_err() {
            return Err(ClientError::TooLarge { url: url(), bytes_max: EVENT_BYTES_MAX });
        }
        if let Some(id) = self.received.iter().rev().find_map(|event| event.id.clone()) {
            self.last_event_id = Some(id);
        }
        Ok(())
    }

    fn interrupted(&mut self, error: ClientError) -> Result<Followed<E>, ClientError> {
        self.response = None;
        let wait = self.patience.wait_after(error)?;
        self.pause = Some(wait);
        Ok(Followed::Interrupted { wait, first: self.patience.is_first() })
    }
}

/// One event as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerSentEvent {
    pub id: Option<String>,
    pub event: String,
    pub data: String,
}

impl Told for TaskEvent {
    fn read(received: &ServerSentEvent) -> Option<Self> {
        #[derive(Deserialize)]
        struct State {
            state: TaskState,
        }
        #[derive(Deserialize)]
        struct Log {
            stream: LogStream,
            text: String,
        }
        match received.event.as_str() {
            "state" => serde_json::from_str(&received.data).ok().map(|State { state }| TaskEvent::State { state }),
            "done" => serde_json::from_str(&received.data).ok().map(|State { state }| TaskEvent::Done { state }),
            "progress" => serde_json::from_str(&received.data).ok().map(TaskEvent::Progress),
            "log" => {
                serde_json::from_str(&received.data).ok().map(|Log { stream, text }| TaskEvent::Log { stream, text })
            }
            _ => None,
        }
    }

    fn is_last(&self) -> bool {
        matches!(self, TaskEvent::Done { .. })
    }
}

/// Cuts a byte stream into events, as the HTML standard says.
#[derive(Debug, Default)]
struct EventParser {
    /// Bytes of a line that has no end yet.
    line: Vec<u8>,
    after_carriage_return: bool,
    event: ServerSentEvent,
    has_data: bool,
}

/// The stream holds an event above the limit.
#[derive(Debug, PartialEq, Eq)]
struct EventTooLarge;

impl EventParser {
    fn push(&mut self, bytes: &[u8], events: &mut VecDeque<ServerSentEvent>) -> Result<(), EventTooLarge> {
        for &byte in bytes {
            let after_carriage_return = std::mem::replace(&mut self.after_carriage_return, byte == b'\r');
            match byte {
                b'\n' if after_carriage_return => {}
                b'\n' | b'\r' => self.end_line(events),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.event.data.len() > EVENT_BYTES_MAX {
                return Err(EventTooLarge);
            }
        }
        Ok(())
    }

    fn end_line(&mut self, events: &mut VecDeque<ServerSentEvent>) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) {
                events.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.event),
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments (an empty field name) keep the connection alive.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<ServerSentEvent> {
        let (mut parser, mut events) = (EventParser::default(), VecDeque::new());
        for chunk in chunks {
            parser.push(chunk, &mut events).unwrap();
        }
        events.into()
    }

    #[test]
    fn events_are_cut_wherever_the_bytes_are() {
        let stream =
            b": hello\r\n\r\nid: 7\r\nevent: log\r\ndata: {\"stream\":\"stdout\",\"text\":\"\xc3\xa9\"}\r\n\r\n\
            event:state\ndata:{\"state\":\n data:\ndata: \"running\"}\n\n";
        let whole = parse(&[stream]);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(whole, parse(&bytes));
        assert_eq!(whole.len(), 2);
        let log = TaskEvent::Log { stream: LogStream::Stdout, text: "é".to_owned() };
        assert_eq!((whole[0].id.as_deref(), TaskEvent::read(&whole[0])), (Some("7"), Some(log)));
        assert_eq!(TaskEvent::read(&whole[1]), Some(TaskEvent::State { state: TaskState::Running }));
    }

    #[test]
    fn an_event_without_its_end_is_not_told() {
        assert_eq!(parse(&[b"event: done\ndata: {\"state\":\"completed\"}\n"]), []);
    }

    #[test]
    fn unknown_events_are_passed_over() {
        let events = parse(&[b"event: weather\ndata: {}\n\nevent: done\ndata: not json\n\n"]);
        assert!(events.iter().all(|event| TaskEvent::read(event).is_none()));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let (mut parser, mut events) = (EventParser::default(), VecDeque::new());
        let line = vec![b'x'; EVENT_BYTES_MAX + 1];
        assert_eq!(parser.push(&line, &mut events), Err(EventTooLarge));
    }
}
