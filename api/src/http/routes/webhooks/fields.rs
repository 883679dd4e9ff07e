//! Reading what a webhook is to be.

use crate::{
    http::Problem,
    json::{Faults, Fields, Path, Value, check},
    webhooks::{Guard, LOOKUPS_BUSY, LOOKUPS_RETRY_AFTER, Refused, URL_REFUSED},
};
use mecapy_model::TenantId;
use mecapy_store::{EventType, WebhookChange};

const STATES: [(&str, bool); 2] = [("enabled", true), ("disabled", false)];
/// More items of `events` are not looked at.
const EVENTS_MAX: usize = 32;

/// What a body asks for; what it leaves out is absent. Where the URL's host leads is looked up only while nothing else is
/// wrong.
pub(super) async fn read(body: &[u8], tenant: TenantId, guard: &Guard) -> Result<WebhookChange, Problem> {
    let mut faults = Faults::default();
    let mut change = WebhookChange::default();
    if let Some(mut fields) = Fields::open(Value::of(check(body)?), Path::Root, &mut faults) {
        change.url = fields.string("url", &mut faults).map(|url| url.into_owned());
        change.events = events(&mut fields, &mut faults);
        change.enabled = fields.one_of("state", &STATES, &mut faults);
        fields.finish(&mut faults);
    }
    if let Some(url) = &change.url {
        let judged = if faults.is_empty() { guard.admit(tenant, url).await } else { guard.check_url(url) };
        match judged {
            Ok(checked) => change.url = Some(checked.as_str().to_owned()),
            Err(Refused::Busy) => return Err(Problem::too_many(LOOKUPS_BUSY, LOOKUPS_RETRY_AFTER)),
            Err(refused) => faults.at(Path::Root.key("url"), URL_REFUSED, refused.to_string()),
        }
    }
    if faults.is_empty() { Ok(change) } else { Err(Problem::invalid(faults.into_vec())) }
}

fn events(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<Vec<EventType>> {
    let value = fields.take("events")?;
    let path = fields.path();
    let path = path.key("events");
    let Some(items) = value.items() else {
        faults.wrong_kind(path, "an array", value);
        return None;
    };
    if items.is_empty() || items.len() > EVENTS_MAX {
        faults.at(path, "invalid", format!("1 to {EVENTS_MAX} events are needed here"));
        return None;
    }
    let mut events = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let at = at.to_string();
        match item.string().map(|text| text.parse::<EventType>()) {
            Some(Ok(event)) => events.push(event),
            Some(Err(unknown)) => faults.at(path.key(&at), "unknown_value", unknown),
            None => faults.wrong_kind(path.key(&at), "a string", item),
        }
    }
    Some(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::AllowList;
    use uuid::Uuid;

    const TENANT: TenantId = TenantId(Uuid::nil());

    async fn faults(body: &str) -> Vec<(String, String)> {
        let guard = Guard::new(AllowList::default(), false);
        let problem = read(body.as_bytes(), TENANT, &guard).await.unwrap_err();
        problem.errors().iter().map(|fault| (fault.pointer.clone(), fault.code.clone())).collect()
    }

    #[tokio::test]
    async fn what_is_asked_for_is_read_and_the_rest_is_absent() {
        let guard = Guard::new(AllowList::default(), false);
        let body =
            br#"{"url": "https://1.1.1.1/a b", "events": ["task.failed", "task.completed"], "state": "disabled"}"#;
        assert!(read(body, TENANT, &guard).await.is_err());
        let body =
            br#"{"url": "https://1.1.1.1:443/a", "events": ["task.failed", "task.completed"], "state": "disabled"}"#;
        let change = read(body, TENANT, &guard).await.unwrap();
        assert_eq!(change.url.as_deref(), Some("https://1.1.1.1/a"));
        assert_eq!(change.events, Some(vec![EventType::TaskFailed, EventType::TaskCompleted]));
        assert_eq!(change.enabled, Some(false));
        let nothing = read(b"{}", TENANT, &guard).await.unwrap();
        assert!(nothing.url.is_none() && nothing.events.is_none() && nothing.enabled.is_none());
    }

    #[tokio::test]
    async fn security_30_urls_that_lead_inside_are_refused_with_their_pointer() {
        for url in [
            "http://1.1.1.1/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://169.254.169.254/latest",
            "https://[::ffff:10.0.0.1]/",
            "https://user:pass@1.1.1.1/",
            "https://1.1.1.1:22/",
            "file:///etc/passwd",
            "nonsense",
        ] {
            let body = serde_json::json!({ "url": url }).to_string();
            assert_eq!(faults(&body).await, [("/url".to_owned(), URL_REFUSED.to_owned())], "{url}");
        }
    }

    #[tokio::test]
    async fn a_host_that_can_not_be_looked_up_yet_is_no_fault() {
        let body = br#"{"url": "https://hooks.example/a", "events": ["task.failed"]}"#;
        let problem = read(body, TENANT, &Guard::busy()).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.errors().len()), (429, 0));
    }

    #[tokio::test]
    async fn every_fault_is_pointed_at() {
        let rows = [
            (r#"{"events": []}"#, "/events", "invalid"),
            (r#"{"events": "task.failed"}"#, "/events", "wrong_type"),
            (r#"{"events": ["task.failed", "task.begun"]}"#, "/events/1", "unknown_value"),
            (r#"{"events": [7]}"#, "/events/0", "wrong_type"),
            (r#"{"url": 7}"#, "/url", "wrong_type"),
            (r#"{"state": "asleep"}"#, "/state", "unknown_value"),
            (r#"{"secret": "x"}"#, "/secret", "unknown_field"),
            ("[]", "", "wrong_type"),
        ];
        for (body, pointer, code) in rows {
            assert_eq!(faults(body).await, [(pointer.to_owned(), code.to_owned())], "{body}");
        }
    }
}
