//! The engine and the sandboxes' threads, sized by the settings.

use crate::config::{KernelSettings, SandboxSettings, Settings, memory_bytes};
use anyhow::{Context as _, Result};
use mecapy_runtime::{Ceilings, Engine, KernelInstructions, NanPayloads, Sandboxes, SandboxesConfig};

pub(super) fn start(settings: &Settings) -> Result<(Engine, Sandboxes)> {
    let engine = Engine::new(settings.nan_payloads)?;
    let config = config(&settings.sandboxes, settings.kernels);
    if settings.kernels.are_missed() {
        tracing::warn!(
            kernels.instructions = "off",
            "process.sandboxes: this processor has no {}, so Python computes its linear algebra itself, many times slower; \
             --kernel-instructions x86-64 or off says so on purpose",
            KernelInstructions::default().as_str()
        );
    }
    let sandboxes = Sandboxes::new(&engine, &config).context("can't start sandboxes")?;
    tracing::info!(
        engine.canonical_nans = settings.nan_payloads == NanPayloads::Canonical,
        kernels.instructions = config.ceilings.kernels.map_or("off", KernelInstructions::as_str),
        memory.budget_bytes = config.memory_budget_bytes,
        preview.threads = config.preview_threads,
        default.threads = config.default_threads,
        long_running.threads = config.long_running_threads,
        "process.sandboxes: ready"
    );
    Ok((engine, sandboxes))
}

fn config(settings: &SandboxSettings, kernels: KernelSettings) -> SandboxesConfig {
    let default = SandboxesConfig::for_machine(SandboxSettings::cores(), memory_bytes());
    let preview_waiting_max = settings.preview_waiting_max.unwrap_or(default.preview_waiting_max);
    // One tenant never fills the lane, however long it is.
    let waiting_per_tenant = preview_waiting_max.div_ceil(2);
    SandboxesConfig {
        preview_threads: settings.preview_threads.unwrap_or(default.preview_threads),
        preview_running_per_tenant_max: settings
            .preview_per_tenant_max
            .unwrap_or(default.preview_running_per_tenant_max),
        preview_waiting_max,
        preview_waiting_per_tenant_max: waiting_per_tenant,
        default_threads: settings.default_threads.unwrap_or(default.default_threads),
        long_running_threads: settings.long_running_threads.unwrap_or(default.long_running_threads),
        memory_budget_bytes: settings.memory_budget_bytes.unwrap_or(default.memory_budget_bytes),
        ceilings: Ceilings { kernels: kernels.instructions(), ..default.ceilings },
        ..default
    }
}
