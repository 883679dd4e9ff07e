//! `PUT /v1/packages/{owner}/{name}/maintainers`

use super::{
    super::json,
    PACKAGE, not_maintainer,
    shown::{MaintainerShown, PackageShown},
};
use crate::{
    http::{Problem, auth::Caller, body, query::NoQuery, router::Api},
    json::{Faults, Fields, Path as Place, Value, check},
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::{Maintainer, PackageOutcome};
use std::sync::Arc;
use uuid::Uuid;

const MAINTAINERS_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 200;

/// Who is to maintain a package.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(in crate::http) struct MaintainersRequest {
    /// 1 to 50, of the same tenant; `GET /v1/me` says everybody's own id.
    maintainers: Vec<MaintainerShown>,
}

/// Names everybody who may publish versions of a package and yank them, in place of those who may now. A private package
/// is seen by them and by the administrators of its tenant alone.
#[utoipa::path(put, path = "/v1/packages/{owner}/{name}/maintainers", tag = "Functions",
    request_body = MaintainersRequest, responses((status = 200, body = PackageShown)))]
pub(in crate::http) async fn set(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    Path((owner, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let maintainers = read(&body)?;
    match api.store_for(&caller).set_maintainers(caller.viewer(), &owner, &name, maintainers).await? {
        PackageOutcome::Done(package) => {
            api.app.functions.forget();
            json(StatusCode::OK, &PackageShown::new(package))
        }
        PackageOutcome::NotFound => Err(Problem::not_found(PACKAGE)),
        PackageOutcome::NotMaintainer => Err(not_maintainer()),
    }
}

fn read(body: &[u8]) -> Result<Vec<Maintainer>, Problem> {
    let mut faults = Faults::default();
    let mut maintainers = Vec::new();
    if let Some(mut fields) = Fields::open(Value::of(check(body)?), Place::Root, &mut faults) {
        let list = fields.require("maintainers", &mut faults);
        let path = fields.path();
        let path = path.key("maintainers");
        match list.map(Value::items) {
            Some(Some(items)) => {
                for (at, item) in items.into_iter().enumerate() {
                    let index = at.to_string();
                    maintainers.extend(maintainer(item, path.key(&index), &mut faults));
                }
            }
            Some(None) => faults.at(path, "wrong_type", "a list of maintainers is needed here"),
            None => {}
        }
        if !(1..=MAINTAINERS_MAX).contains(&maintainers.len()) && faults.is_empty() {
            faults.at(path, "out_of_range", format!("1 to {MAINTAINERS_MAX} maintainers are needed here"));
        }
        fields.finish(&mut faults);
    }
    if faults.is_empty() { Ok(maintainers) } else { Err(Problem::invalid(faults.into_vec())) }
}

fn maintainer(value: Value<'_>, place: Place<'_>, faults: &mut Faults) -> Option<Maintainer> {
    let mut fields = Fields::open(value, place, faults)?;
    let path = fields.path();
    let (id, name) = (fields.string("id", faults), fields.string("name", faults));
    fields.finish(faults);
    let (Some(id), Some(name)) = (id, name) else {
        faults.at(path, "required", "an id and a name are needed here");
        return None;
    };
    if name.chars().count() > NAME_CHARS_MAX || name.contains('\0') {
        faults.at(path.key("name"), "invalid", format!("at most {NAME_CHARS_MAX} characters, none of them U+0000"));
        return None;
    }
    match Uuid::parse_str(&id) {
        Ok(id) => Some(Maintainer { id, name: name.into_owned() }),
        Err(_) => {
            faults.at(
                path.key("id"),
                "invalid",
                "the id of a person, a machine or a key is needed here: see GET /v1/me",
            );
            None
        }
    }
}
