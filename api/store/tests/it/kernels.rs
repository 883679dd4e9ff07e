//! What computes linear algebra is kept with what runs, and what it did with the usage.

use crate::batches::new_batch;
use crate::fixture::{Fixture, finish_with, json, new_task};
use mecapy_model::{InstructionSet, ItemOutcome, KernelUsage, Kernels, Lane, Usage};
use mecapy_store::{Finish, NewBatch, NewTask, PreviewUsage, Submission, Written};

const USED: KernelUsage =
    KernelUsage { instructions: InstructionSet::X86_64V3, calls: 12, flops: 123_456, price_version: 1 };

fn usage(kernels: Option<KernelUsage>) -> Usage {
    Usage { fuel: 7, kernels, ..Usage::default() }
}

#[tokio::test]
async fn a_task_keeps_its_kernels_and_what_they_did() {
    let fixture = Fixture::new().await;
    for (kernels, used) in [(Kernels::Native, Some(USED)), (Kernels::Native, None), (Kernels::Wasm, None)] {
        let task = NewTask { kernels, ..new_task(fixture.tenant) };
        let submitted = fixture.store.submit(Submission { task, ..fixture.submission() }).await.unwrap().task;
        assert_eq!(submitted.kernels, kernels);
        let claimed = fixture.claim_one().await;
        assert_eq!((claimed.task.id, claimed.task.kernels), (submitted.id, kernels));
        let finish = Finish { usage: usage(used), ..finish_with("{}") };
        assert_eq!(fixture.store.finish(claimed.claim, finish).await.unwrap(), Written::Done);
        let ended = fixture.store.task(fixture.tenant, submitted.id).await.unwrap().unwrap();
        assert_eq!((ended.kernels, ended.usage.map(|usage| usage.kernels)), (kernels, Some(used)));
    }
}

#[tokio::test]
async fn a_task_of_before_there_were_kernels_is_computed_natively() {
    let fixture = Fixture::new().await;
    let id = fixture.submit().await.id;
    fixture.tamper(r#"UPDATE task_specs SET settings = replace(settings, ',"kernels":"native"', '')"#).await;
    assert_eq!(fixture.number("SELECT count(*) FROM task_specs WHERE settings LIKE '%kernels%'").await, 0);
    assert_eq!(fixture.store.task(fixture.tenant, id).await.unwrap().unwrap().kernels, Kernels::Native);
}

#[tokio::test]
async fn the_task_of_a_batchs_items_has_the_sum_of_what_theirs_did() {
    let fixture = Fixture::new().await;
    let new = NewBatch { kernels: Kernels::Wasm, ..new_batch(&fixture, 128) };
    let batch = fixture.store.submit_batch(new).await.unwrap().batch;
    let spec = fixture.store.batch_spec(batch.id).await.unwrap().unwrap();
    assert_eq!((batch.kernels, spec.kernels), (Kernels::Wasm, Kernels::Wasm));
    let chunk = fixture.claim(Lane::Default, 1).await.pop().unwrap();
    assert_eq!(chunk.task.kernels, Kernels::Wasm);
    let items = [(0, Some(USED)), (1, None)].map(|(index, used)| ItemOutcome {
        index,
        seed: 1,
        result: Ok(json("1")),
        warnings: Vec::new(),
        usage: usage(used),
    });
    assert_eq!(fixture.store.save_items(chunk.claim.clone(), items.to_vec()).await.unwrap(), Written::Done);
    assert_eq!(fixture.store.finish(chunk.claim, finish_with("{}")).await.unwrap(), Written::Done);
    let ended = fixture.store.batch_items(fixture.tenant, batch.id, 0, 10).await.unwrap();
    assert_eq!(ended.iter().map(|item| item.usage.kernels).collect::<Vec<_>>(), [Some(USED), None]);
    let sum = "SELECT kernel_flops FROM task_usage WHERE kernel_calls = 12 AND kernel_instructions = 'x86-64-v3' \
               AND kernel_price_version = 1";
    assert_eq!(fixture.number(sum).await, 123_456);
}

#[tokio::test]
async fn what_kernels_did_for_previews_is_counted() {
    let fixture = Fixture::new().await;
    for used in [Some(KernelUsage { flops: u64::MAX, ..USED }), None] {
        let (tenant, usage) = (fixture.tenant, usage(used));
        fixture.store.record_preview_usage(PreviewUsage { tenant, error_kind: None, usage });
    }
    fixture.store.close().await;
    let counted = "SELECT count(*) FROM preview_usage WHERE kernel_flops = 9223372036854775807";
    assert_eq!(fixture.number(counted).await, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM preview_usage WHERE kernel_calls IS NULL").await, 1);
}
