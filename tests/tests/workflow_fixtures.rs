//! The workflows of `fixtures/workflows`, each case through a live server: outputs agree with what is known of them.

use anyhow::Result;
use mecapy_tests::{Server, check_workflow, fixture_path, zip_of_folder};

#[tokio::test]
async fn workflows_of_python_alone_give_what_is_known_of_them() -> Result<()> {
    let server = Server::start().await?;
    // The second is nested in the third.
    for name in
        ["truss_check", "beam_check", "beam_study", "approval", "retries", "on_error", "on_error_fail", "fan_out"]
    {
        check_workflow(&server, name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_workflow_of_functions_with_units_gives_what_is_known_of_it() -> Result<()> {
    let server = Server::start().await?;
    server.publish(zip_of_folder(&fixture_path("packages/bolted-joint")?)?, "").await?.expect(201)?;
    check_workflow(&server, "bolted_joint").await
}
