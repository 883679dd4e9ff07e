//! `GET /v1/batches/{id}/results` in every format, each read back by its own reader.

use anyhow::{Context, Result, ensure};
use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Float64Type, Int64Type},
};
use mecapy_tests::{Server, merge, python};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{Seek, Write};

/// Fields of every kind; where `x` is 2 it fails, and where it is even there is one field less, whose column comes last
/// for that: the first item has none.
const SOURCE: &str = "def main(x, steel):
    if x == 2:
        raise ValueError('two')
    result = {'y': x / 2, 'n': x * 1000000007, 'ok': x > 3, 'text': f'={x}, \"q\"', 'v': [x, 1], 'deep': {'z': x}}
    if x % 2 == 0:
        del result['v']
    return result";
const COUNT: usize = 700;

async fn swept(server: &Server) -> Result<String> {
    let mut body = python(SOURCE);
    merge(&mut body, json!({"sweep": {"x": {"from": 0, "to": COUNT - 1, "step": 1}}, "inputs": {"steel": "8.8"}}));
    let id = server.submit_batch(&body).await?;
    let ended = server.ended_batch(&id).await?;
    ensure!(ended.at("/failed")? == json!(1), "{}", ended.text());
    Ok(id)
}

#[tokio::test]
async fn every_format_has_every_item_in_its_order() -> Result<()> {
    let server = Server::start().await?;
    let id = swept(&server).await?;
    let path = |query: &str| format!("/v1/batches/{id}/results{query}");
    let pages = server.items(&id, 300, "").await?;
    ensure!(pages.len() == COUNT, "{} items", pages.len());

    let ndjson = server.get(&path("?format=ndjson")).await?.expect(200)?;
    ensure!(ndjson.header("content-type") == Some("application/x-ndjson"));
    let lines = ndjson.text().lines().map(|line| Ok(serde_json::from_str(line)?)).collect::<Result<Vec<Value>>>()?;
    ensure!(lines == pages, "NDJSON differs from the pages");

    let request = server.request(Method::GET, &path("")).header("accept", "text/csv");
    let csv = server.send(request).await?.expect(200)?;
    let text = csv.text();
    let rows: Vec<_> = text.split("\r\n").collect();
    let head = "index,state,inputs.x,inputs.steel,result.y,result.n,result.ok,result.text,result.deep.z,result.v,error.kind,\
                error.message,seed,usage.fuel,";
    ensure!(rows.len() == COUNT + 2 && rows[0].starts_with(head), "{} rows, {}", rows.len(), rows[0]);
    let third = "3,completed,3,8.8,1.5,3000000021,false,\"'=3, \"\"q\"\"\",3,\"[3, 1]\",,,";
    ensure!(rows[4].starts_with(third) || rows[4].starts_with(&third.replace("[3, 1]", "[3,1]")), "{}", rows[4]);
    ensure!(rows[3].starts_with("2,failed,2,8.8,,,,,,,exception,"), "{}", rows[3]);

    let parquet = server.get(&path("?format=parquet")).await?.expect(200)?;
    ensure!(parquet.header("content-type") == Some("application/vnd.apache.parquet"));
    let mut file = tempfile::tempfile()?;
    file.write_all(&parquet.bytes)?;
    file.rewind()?;
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    check(&reader.collect::<Result<Vec<_>, _>>()?)?;

    let request = server.request(Method::GET, &path("")).header("accept", "application/vnd.apache.arrow.stream");
    let arrow = server.send(request).await?.expect(200)?;
    let reader = arrow_ipc::reader::StreamReader::try_new(arrow.bytes.as_slice(), None)?;
    check(&reader.collect::<Result<Vec<_>, _>>()?)
}

/// Whether the columns have the values and types that the computation gives.
fn check(batches: &[RecordBatch]) -> Result<()> {
    ensure!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() == COUNT, "rows are missing");
    let mut index = 0_i64;
    for batch in batches {
        let column = |name: &str| batch.column_by_name(name).with_context(|| format!("no column {name}"));
        let (places, x) =
            (column("index")?.as_primitive::<Int64Type>(), column("inputs.x")?.as_primitive::<Int64Type>());
        let (y, n) =
            (column("result.y")?.as_primitive::<Float64Type>(), column("result.n")?.as_primitive::<Int64Type>());
        let (ok, texts) = (column("result.ok")?.as_boolean(), column("result.text")?.as_string::<i32>());
        let (vectors, kinds) = (column("result.v")?.as_string::<i32>(), column("error.kind")?.as_string::<i32>());
        for place in 0..batch.num_rows() {
            ensure!((places.value(place), x.value(place)) == (index, index), "row {index}");
            ensure!(y.is_null(place) == (index == 2) && kinds.is_null(place) == (index != 2), "row {index}");
            ensure!(vectors.is_null(place) == (index % 2 == 0), "row {index}");
            if index != 2 {
                ensure!((y.value(place), n.value(place)) == (index as f64 / 2.0, index * 1_000_000_007), "row {index}");
                ensure!(ok.value(place) == (index > 3), "row {index}");
                ensure!(texts.value(place) == format!("={index}, \"q\""), "row {index}: {}", texts.value(place));
            } else {
                ensure!(kinds.value(place) == "exception", "row 2: {}", kinds.value(place));
            }
            index += 1;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_table_may_have_only_what_failed_and_is_never_cut_by_a_page() -> Result<()> {
    let server = Server::start().await?;
    let id = swept(&server).await?;
    let path = |query: &str| format!("/v1/batches/{id}/results?{query}");
    let failed = server.get(&path("format=csv&only=failed")).await?.expect(200)?.text();
    ensure!(failed.split("\r\n").count() == 3 && failed.contains("two"), "{failed}");
    let cursor = server.get(&path("limit=1")).await?.str_at("/next_cursor")?;
    let tampered = format!("{}{}", &cursor[..cursor.len() - 1], if cursor.ends_with('A') { 'B' } else { 'A' });
    server.get(&path(&format!("limit=1&cursor={tampered}"))).await?.expect_problem(400)?;
    server.get(&path(&format!("only=failed&cursor={cursor}"))).await?.expect_problem(400)?;
    for (query, pointer) in [
        ("format=csv&limit=5", "/limit"),
        (&*format!("format=csv&cursor={cursor}"), "/cursor"),
        ("format=xlsx", "/format"),
        ("only=completed", "/only"),
        ("limit=0", "/limit"),
        ("limit=1000000000", "/limit"),
        ("page=2", "/page"),
    ] {
        server.get(&path(query)).await?.expect_fault(pointer).with_context(|| query.to_owned())?;
    }
    Ok(())
}

/// Results with a thousand different fields are no table, and still NDJSON.
#[tokio::test]
async fn too_many_columns_are_told_before_anything_is_written() -> Result<()> {
    let server = Server::start().await?;
    let mut body = python("def main(x):\n    return {f'f{x}_{n}': n for n in range(300)}");
    merge(&mut body, json!({"sweep": {"x": [1, 2, 3, 4]}}));
    let id = server.submit_batch(&body).await?;
    server.ended_batch(&id).await?;
    let refused = server.get(&format!("/v1/batches/{id}/results?format=csv")).await?;
    refused.expect_fault_code("/format", "too_many_columns")?;
    let lines = server.get(&format!("/v1/batches/{id}/results?format=ndjson")).await?.expect(200)?.text();
    ensure!(lines.lines().count() == 4, "{lines}");
    Ok(())
}
