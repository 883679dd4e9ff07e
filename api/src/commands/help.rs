//! What `--help` says after the options: examples to copy, and the exit codes.

use super::exit::EXIT_CODES_HELP;

/// The way from nothing to a result.
const QUICK_START: &str = "\
Quick start:
  mecapy python build                    # once: makes the interpreter, minutes
  mecapy run task.py -i d=12 -i F=5e4    # here, without a server
  mecapy serve                           # a server at http://127.0.0.1:8000
  mecapy preview task.py -i d=12         # in another terminal: there, at once
  mecapy submit task.py -i d=12 --watch  # the same through its queue, live
  mecapy batch task.py --sweep d=8,10,12 # the same for many inputs
  mecapy new rods --lang python          # a package of functions with units
  mecapy publish rods                    # for all who may call it by its name

If something does not work, `mecapy doctor` says what to do. A setting is a
flag, else a MECAPY_* variable, else a key of mecapy.toml in this folder.";

const RUN: &str = "\
Examples:
  mecapy run beam.py --input F=5e4 --input L=2.5
  mecapy run beam.py --inputs @inputs.json --file mesh.med --out figures
  mecapy run solver.wasm --inputs '{\"n\": 1000}' --timeout-ms 60000";

const SERVE: &str = "\
Examples:
  mecapy serve
  mecapy serve --listen 0.0.0.0:8000 --data-dir /var/lib/mecapy
  MECAPY_LOG_FORMAT=json mecapy serve --config /etc/mecapy.toml

Each option is a key of mecapy.toml too, with _ for -:
  listen = \"0.0.0.0:8000\"
  memory_budget_bytes = 8589934592";

const WORKER: &str = "\
Examples:
  mecapy worker
  mecapy worker --lanes default,long_running --concurrency 8
  mecapy worker --drain-seconds 120 --health-listen 0.0.0.0:9000
  mecapy worker --docker-url unix:///var/run/docker.sock --solvers solvers.toml

It takes the settings of `mecapy serve`, and must be told the same database,
queue and objects:
  export MECAPY_DATABASE_URL=postgres://mecapy:password@db/mecapy
  export MECAPY_QUEUE_URL=redis://:password@redis
  export MECAPY_OBJECTS_URL='s3://mecapy?endpoint=https://s3.example.org'";

const MIGRATE: &str = "\
Examples:
  MECAPY_DATABASE_URL=postgres://owner:password@db/mecapy \\
    mecapy migrate --grant-to mecapy
  mecapy migrate --json | jq .versions_applied";

const PREVIEW: &str = "\
Examples:
  mecapy preview beam.py --input F=5e4 --input L=2.5
  mecapy preview beam.py --inputs @inputs.json --file mesh.med --out figures
  mecapy preview beam.py -i F=5e4 --json | jq .result
  mecapy preview 'acme/rods#rod' -i F=50kN -i d=12mm
  mecapy preview 'acme/rods@1.2.0#rod' -i F=5e4 -i 'note=\"12mm\"'

Of a published function, the value of -i may be a number with its unit; a text
that looks like one is written as JSON, in quotes.";

const SUBMIT: &str = "\
Examples:
  mecapy submit beam.py --inputs @inputs.json --watch
  id=$(mecapy submit beam.py -i F=5e4 --name \"beam 12\"); mecapy watch $id
  mecapy submit beam.py -i F=5e4 --wait --wait-at-most 600 --json
  mecapy submit 'acme/rods@1.2.0#rod' -i F=50kN --watch";

const BATCH: &str = "\
Examples:
  mecapy batch bolt.py --sweep d=8,10,12 --sweep F=0:50000:50 -i E=2.1e5
  mecapy batch bolt.py --sweep d=8,10,12 --sweep F=0:50000:50 \\
    --out bolts.parquet --plot F,stress,d bolts.png
  mecapy batch 'acme/rods@1.2.0#rod' --sweep d=8mm,10mm --sweep F=log:1:1000:20
  mecapy batch beam.py --sweep fy=normal:235:10 --sweep L=uniform:2:3 --lhs 1000
  mecapy batch beam.py --items cases.csv --isolation batch --strict
  id=$(mecapy batch beam.py --items cases.csv --detach); mecapy batches watch $id

Two sweeps make a grid, the last one fastest; with --zip they go side by side.
Values are written as those of --input; a range has plain numbers, in the unit
of the input. --plot names inputs and results: F,stress,d is the stress over F,
a line for each d.

A batch whose items failed exits with 0 unless --strict is given: what failed
is told, and `mecapy batches retry` runs it again. One that --on-error stop
ended exits with 1, one that was cancelled with 6.";

const BATCHES: &str = "\
Examples:
  mecapy batches list --state running
  mecapy batches watch 0190aaaa-0000-7000-8000-000000000000
  mecapy batches results $id --format csv > bolts.csv
  mecapy batches results $id --out bolts.parquet
  mecapy batches results $id --failed --format ndjson | jq -r .error.message
  mecapy batches plot $id --x F --y stress --group d bolts.png
  mecapy batches retry $id";

const WORKFLOW: &str = "\
Examples:
  mecapy workflow save joint.yml
  mecapy workflow run joint -i F=25kN -i d=12mm
  mecapy workflow run joint.yml -i F=25kN           # saved first, then run
  id=$(mecapy workflow run joint -i F=25kN --detach); mecapy workflow watch $id
  mecapy workflow approve $id sign-off --comment 'below 0.8'
  mecapy workflow restart $id                       # from what had not completed
  mecapy workflow show joint --definition > joint.json

While a run is watched, each node is a line, below those that it waits for:
  · pending   ○ ready      ● running   ↻ tries again   ? waits for a person
  ✓ completed ✗ failed     ↷ skipped   ⊘ cancelled";

const STUDY: &str = "\
Examples:
  id=$(mecapy study create 'M12 joint')
  mecapy batch joint.py --sweep d=8,10,12 --study $id
  mecapy study table $id --format csv > joint.csv
  mecapy study table $id --out joint.parquet
  mecapy study plot $id --x inputs.d --y result.stress joint.svg
  mecapy study compare $id item:$batch:0 item:$batch:2";

const SCHEDULE: &str = "\
Examples:
  mecapy schedule create task 'acme/rods#check' -i d=12mm \\
    --cron '0 2 * * MON-FRI' --timezone Europe/Paris
  mecapy schedule create workflow joint -i F=25kN --cron @daily --missed run_once
  mecapy schedule show $id
  mecapy schedule pause $id
  mecapy schedule run $id";

const NEW: &str = "\
Examples:
  mecapy new bolted-joint --lang python
  mecapy new beam --lang rust
  mecapy new beam --lang c --dir ~/functions/beam

The project brings its SDK along, and its README.md says how it is tested,
built and published.";

const PUBLISH: &str = "\
Examples:
  mecapy publish                            # the package in this folder
  mecapy publish package --check            # everything but keep it
  mecapy publish joint-1.2.0.zip --owner acme
  mecapy publish --json | jq -r '.functions[].reference'

A fault is told with its file and line, a test case that fails with what it
gave and what was expected.";

const PACKAGES: &str = "\
Examples:
  mecapy packages list bolt
  mecapy packages show acme/bolted-joint
  mecapy packages show acme/bolted-joint@1.2.0
  mecapy packages yank acme/bolted-joint@1.2.0 --reason 'wrong thread table'
  mecapy packages unyank acme/bolted-joint@1.2.0";

const FUNCTIONS: &str = "\
Examples:
  mecapy functions list bolt
  mecapy functions show 'acme/bolted-joint#preload'
  mecapy functions show 'acme/bolted-joint@1.2.0#preload' --json | jq .inputs";

pub(super) fn of_all() -> String {
    with_exit_codes(QUICK_START)
}

pub(super) fn of_run() -> String {
    with_exit_codes(RUN)
}

pub(super) fn of_serve() -> String {
    with_exit_codes(SERVE)
}

pub(super) fn of_worker() -> String {
    with_exit_codes(WORKER)
}

pub(super) fn of_migrate() -> String {
    with_exit_codes(MIGRATE)
}

pub(super) fn of_preview() -> String {
    with_exit_codes(PREVIEW)
}

pub(super) fn of_submit() -> String {
    with_exit_codes(SUBMIT)
}

pub(super) fn of_batch() -> String {
    with_exit_codes(BATCH)
}

pub(super) fn of_batches() -> String {
    with_exit_codes(BATCHES)
}

pub(super) fn of_workflow() -> String {
    with_exit_codes(WORKFLOW)
}

pub(super) fn of_study() -> String {
    with_exit_codes(STUDY)
}

pub(super) fn of_schedule() -> String {
    with_exit_codes(SCHEDULE)
}

pub(super) fn of_new() -> String {
    with_exit_codes(NEW)
}

pub(super) fn of_publish() -> String {
    with_exit_codes(PUBLISH)
}

pub(super) fn of_packages() -> String {
    with_exit_codes(PACKAGES)
}

pub(super) fn of_functions() -> String {
    with_exit_codes(FUNCTIONS)
}

fn with_exit_codes(text: &str) -> String {
    format!("{text}\n\n{EXIT_CODES_HELP}")
}
