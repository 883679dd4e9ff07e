//! Results that are used again: hit, miss, refresh, invalidation, and the words that explain them.

use anyhow::{Result, ensure};
use mecapy_tests::{Company, Server, merge, node, python};
use serde_json::{Value, json};

const DRAW: &str = "import random\ndef main(x):\n    open('/work/out/drawn.txt', 'w').write(str(x))\n    return {'x': x, 'drawn': random.random()}";

fn draw(x: u32, cache: &str) -> Value {
    let mut body = python(DRAW);
    merge(&mut body, json!({"inputs": {"x": x}, "cache": cache}));
    body
}

async fn explained(server: &Server, id: &str) -> Result<mecapy_tests::Answer> {
    server.get(&format!("/v1/tasks/{id}/cache")).await?.expect(200)
}

#[tokio::test]
async fn an_equal_computation_has_the_earlier_result_and_says_whose() -> Result<()> {
    let server = Server::start().await?;
    let first = server.submit(&draw(1, "use")).await?;
    let drawn = server.result(&first).await?.expect_completed()?.at("/result")?;
    let told = explained(&server, &first).await?;
    ensure!(told.at("/hit")? == json!(false) && told.str_at("/reason")? == "nothing_yet", "{}", told.text());
    ensure!(told.str_at("/mode")? == "use" && told.str_at("/kept_task")? == first, "{}", told.text());

    let second = server.post("/v1/tasks", &draw(1, "use")).await?.expect(202)?;
    ensure!(second.str_at("/state")? == "completed" && second.str_at("/cached_from")? == first, "{}", second.text());
    let id = second.str_at("/id")?;
    ensure!(server.result(&id).await?.at("/result")? == drawn);
    ensure!(second.at("/seed")? == server.task(&first).await?.at("/seed")?, "the seed follows from the computation");
    let artifacts = server.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?;
    ensure!(artifacts.str_at("/0/name")? == "drawn.txt", "{}", artifacts.text());
    let told = explained(&server, &id).await?;
    ensure!(told.at("/hit")? == json!(true) && told.str_at("/source_task")? == first, "{}", told.text());
    ensure!(told.at("/key")? == explained(&server, &first).await?.at("/key")?);

    for other in [draw(2, "use"), draw(1, "off")] {
        let id = server.submit(&other).await?;
        ensure!(server.task(&id).await?.at("/cached_from")?.is_null());
        server.result(&id).await?.expect_completed()?;
    }
    for other in [json!({"seed": 7}), json!({"kernels": "wasm"})] {
        let mut body = draw(1, "use");
        merge(&mut body, other);
        let accepted = server.post("/v1/tasks", &body).await?.expect(202)?;
        ensure!(accepted.at("/cached_from")?.is_null(), "{}", accepted.text());
    }

    server.delete(&format!("/v1/tasks/{first}")).await?.expect(204)?;
    let told = explained(&server, &id).await?;
    ensure!(told.str_at("/reason")? == "source_deleted", "{}", told.text());
    ensure!(server.result(&id).await?.at("/result")? == drawn, "it has a copy of its own");
    Ok(())
}

#[tokio::test]
async fn a_refresh_runs_and_takes_the_place_of_what_was_kept() -> Result<()> {
    let server = Server::start().await?;
    let first = server.submit(&draw(1, "use")).await?;
    server.result(&first).await?.expect_completed()?;
    let second = server.submit(&draw(1, "refresh")).await?;
    server.result(&second).await?.expect_completed()?;
    let told = explained(&server, &second).await?;
    ensure!(told.str_at("/reason")? == "refresh" && told.at("/hit")? == json!(false), "{}", told.text());
    ensure!(told.str_at("/kept_task")? == second, "{}", told.text());
    let third = server.post("/v1/tasks", &draw(1, "use")).await?.expect(202)?;
    ensure!(third.str_at("/cached_from")? == second, "{}", third.text());
    let off = server.submit(&draw(1, "off")).await?;
    let told = explained(&server, &off).await?;
    ensure!(told.str_at("/reason")? == "off" && told.at("/key")?.is_null(), "{}", told.text());
    Ok(())
}

#[tokio::test]
async fn failures_are_never_used_again_and_tenants_share_nothing() -> Result<()> {
    let server = Server::start().await?;
    let mut bad = python("raise ValueError('no')");
    merge(&mut bad, json!({"cache": "use"}));
    for _ in 0..2 {
        let id = server.submit(&bad).await?;
        server.result(&id).await?.expect_error_kind("exception")?;
        ensure!(server.task(&id).await?.at("/cached_from")?.is_null());
    }
    let first = server.submit(&draw(1, "use")).await?;
    server.result(&first).await?.expect_completed()?;
    let other = Company::on(&server, "other").await?;
    let id = other.submit(&server, &draw(1, "use")).await?;
    other.result(&server, &id).await?.expect_completed()?;
    ensure!(other.get(&server, &format!("/v1/tasks/{id}")).await?.at("/cached_from")?.is_null());
    other.get(&server, &format!("/v1/tasks/{first}/cache")).await?.expect_problem(404)?;
    Ok(())
}

#[tokio::test]
async fn what_a_function_gave_is_invalidated_by_its_version() -> Result<()> {
    let server = Server::start().await?;
    server
        .publish_calc("cached@1.0.0", "  area: {handler: 'calc:area'}\n", "def area(d):\n    return {'a': d * d}\n")
        .await?;
    let call = json!({"code": {"function": "default/cached#area"}, "inputs": {"d": 2}, "cache": "use"});
    let first = server.submit(&call).await?;
    server.result(&first).await?.expect_completed()?;
    ensure!(server.post("/v1/tasks", &call).await?.expect(202)?.str_at("/cached_from")? == first);

    for (function, results) in [
        ("default/cached@1.0.1#area", 0),
        ("default/cached#volume", 0),
        ("default/cached@1.0.0", 1),
        ("default/cached", 0),
    ] {
        let path = format!("/v1/cache?function={}", function.replace('#', "%23"));
        let answer = server.delete(&path).await?;
        ensure!(answer.status == 200 && answer.at("/results")? == json!(results), "{function}: {}", answer.text());
    }
    let told = explained(&server, &first).await?;
    ensure!(told.str_at("/reason")? == "invalidated", "{}", told.text());
    ensure!(server.post("/v1/tasks", &call).await?.expect(202)?.at("/cached_from")?.is_null());
    server.delete("/v1/cache").await?.expect_fault("/function")?;
    server.delete("/v1/cache?function=cached").await?.expect_fault("/function")?;
    Ok(())
}

#[tokio::test]
async fn nodes_use_what_earlier_runs_gave() -> Result<()> {
    let server = Server::start().await?;
    let mut drawn = node("drawn", DRAW, json!({"x": {"from": "inputs.x"}}));
    merge(&mut drawn, json!({"cache": "use"}));
    let definition = json!({
        "name": "draws", "inputs": {"x": {"type": "Integer"}}, "nodes": [drawn],
        "outputs": {"drawn": {"from": "drawn.drawn"}},
    });
    let first = server.run_workflow(&definition, json!({"x": 1})).await?;
    let first = server.run_ended(&first).await?;
    let run = server.start_run("draws", json!({"x": 1})).await?;
    let second = server.run_ended(&run).await?;
    ensure!(first.at("/outputs")? == second.at("/outputs")?, "{}", second.text());
    for task in server.run_tasks(&run).await?.values() {
        ensure!(server.task(task).await?.at("/cached_from")?.is_string());
    }
    let other = server.start_run("draws", json!({"x": 2})).await?;
    ensure!(server.run_ended(&other).await?.at("/outputs")? != first.at("/outputs")?);
    Ok(())
}
