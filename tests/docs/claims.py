"""Names the test that runs or checks each block of the documentation. `test_claims.py` fails if a block is missing."""

_MINIMAL = "examples/minimal/README.md"
_PROTOCOL = "docs/reference/realtime-protocol.md"
_VIDEOS = "docs/how-to/upload-and-play-a-video.md"
_VIDEO_STEPS = "test_the_page_works_from_its_first_to_its_last_step"

CLAIMS: dict[str, str] = {
    # Python
    "README.md#python-1": "test_the_readme_publishes_from_the_projects_folder_to_a_running_system",
    "README.md#python-2": "test_the_readme_watches_an_import",
    "docs/tutorial.md#python-1": "test_the_tutorial_works_from_its_first_to_its_last_step",
    "docs/tutorial.md#python-2": "test_the_tutorial_works_from_its_first_to_its_last_step",
    "docs/tutorial.md#python-3": "test_the_tutorial_works_from_its_first_to_its_last_step",
    "docs/how-to/publish-from-your-worker.md#python-1": "test_a_publishing_block_runs_without_django",
    "docs/how-to/publish-from-your-worker.md#python-2": "test_a_publishing_block_runs_without_django",
    "docs/how-to/publish-from-your-worker.md#python-3": "test_a_state_leaves_through_the_outbox_as_shown",
    "docs/how-to/publish-from-your-worker.md#python-4": "test_a_publishing_block_runs_without_django",
    "docs/how-to/add-a-job-kind.md#python-1": "test_a_job_kind_added_as_the_page_says_does_its_job",
    "docs/how-to/add-a-job-kind.md#python-2": "test_a_job_kind_added_as_the_page_says_does_its_job",
    "docs/how-to/add-a-job-kind.md#python-3": "test_a_job_kind_added_as_the_page_says_does_its_job",
    "docs/how-to/add-a-job-kind.md#python-4": "test_a_job_kind_added_as_the_page_says_does_its_job",
    **dict.fromkeys([f"{_VIDEOS}#python-{number}" for number in range(1, 7)], _VIDEO_STEPS),
    f"{_VIDEOS}#python-7": "test_a_bucket_is_told_as_shown_which_pages_may_upload",
    "docs/explanation/epochs-and-places.md#python-1": "test_a_publishing_block_runs_without_django",
    "docs/explanation/attempts-and-leases.md#python-1": "test_a_publishing_block_runs_without_django",
    f"{_MINIMAL}#python-1": "test_an_end_that_redis_could_not_take_comes_by_the_relay",
    f"{_PROTOCOL}#python-1": "test_the_fold_of_the_page_holds_what_the_contract_says",
    f"{_PROTOCOL}#python-2": "test_the_client_of_the_page_comes_through_a_restart_and_misses_nothing",
    # Shell. Complete runs of script/up and script/test are tested in tests/embedded/.
    "README.md#sh-1": "test_lines_of_script_up_are_understood",
    "README.md#sh-2": "test_lines_of_script_test_are_understood",
    "README.md#sh-3": "test_lines_of_the_sample_script_are_understood",
    "CONTRIBUTING.md#sh-1": "test_lines_of_script_test_are_understood",
    "CONTRIBUTING.md#sh-2": "test_lines_of_script_test_are_understood",
    "CONTRIBUTING.md#sh-3": "test_the_lines_for_the_newest_django_name_what_there_is",
    "CONTRIBUTING.md#sh-4": "test_commands_of_manage_py_exist",
    "docs/tutorial.md#sh-1": "test_lines_of_script_up_are_understood",
    "docs/tutorial.md#sh-2": "test_the_tutorial_works_from_its_first_to_its_last_step",
    "docs/tutorial.md#sh-3": "test_the_tutorial_works_from_its_first_to_its_last_step",
    "docs/tutorial.md#sh-4": "test_the_tutorial_works_from_its_first_to_its_last_step",
    "docs/reference/commands.md#sh-1": "test_lines_of_script_up_are_understood",
    "docs/reference/commands.md#sh-2": "test_script_manage_reaches_the_embedded_system_as_shown",
    "docs/reference/commands.md#sh-3": "test_lines_of_the_sample_script_are_understood",
    "docs/reference/commands.md#sh-4": "test_the_screenshots_script_takes_an_address",
    "docs/how-to/configure.md#sh-1": "test_lines_of_script_up_are_understood",
    "docs/how-to/configure.md#sh-2": "test_a_secret_key_is_made_as_shown",
    "docs/how-to/configure.md#sh-3": "test_a_wrong_value_gets_the_sentence_that_is_shown",
    "docs/how-to/use-the-admin.md#sh-1": "test_commands_of_manage_py_exist",
    "docs/how-to/rotate-keys.md#sh-1": "test_a_secret_key_is_made_as_shown",
    "docs/how-to/send-messages.md#sh-1": "test_lines_of_script_up_are_understood",
    "docs/how-to/send-messages.md#sh-2": "test_lines_of_script_up_are_understood",
    "docs/how-to/use-existing-servers.md#sh-1": "test_lines_of_script_up_are_understood",
    "docs/how-to/use-existing-servers.md#sh-2": "test_processes_are_started_by_hand_as_script_up_starts_them",
    "docs/how-to/use-existing-servers.md#sh-3": "test_lines_of_script_up_are_understood",
    "docs/how-to/deploy-with-compose.md#sh-1": "test_a_secret_key_is_made_as_shown",
    "docs/how-to/deploy-with-compose.md#sh-2": "test_lines_of_docker_compose_name_what_there_is",
    "docs/how-to/deploy-with-compose.md#sh-3": "test_lines_of_docker_compose_name_what_there_is",
    "docs/how-to/move-old-progress-keys.md#sh-1": "test_commands_of_manage_py_exist",
    **dict.fromkeys(
        [f"docs/how-to/watch-it.md#sh-{number}" for number in range(1, 5)], "test_commands_of_manage_py_exist"
    ),
    **dict.fromkeys(
        [f"docs/how-to/look-at-dead-letters.md#sh-{number}" for number in range(1, 4)],
        "test_commands_of_manage_py_exist",
    ),
    "docs/how-to/when-something-is-down.md#sh-1": "test_what_runs_is_asked_as_shown",
    "docs/how-to/when-something-is-down.md#sh-2": "test_commands_of_manage_py_exist",
    "docs/how-to/when-something-is-down.md#sh-3": "test_commands_of_manage_py_exist",
    "docs/how-to/when-something-is-down.md#sh-4": "test_commands_of_manage_py_exist",
    "docs/how-to/when-something-is-down.md#sh-5": "test_commands_of_manage_py_exist",
    **dict.fromkeys([f"{_VIDEOS}#sh-{number}" for number in range(1, 7)], _VIDEO_STEPS),
    f"{_MINIMAL}#sh-1": "test_the_minimal_project_runs_on_the_folder_alone",
    f"{_MINIMAL}#sh-2": "test_the_minimal_project_asks_for_what_the_engine_imports",
    **dict.fromkeys(
        [f"{_MINIMAL}#sh-{number}" for number in range(3, 7)], "test_the_minimal_project_runs_on_the_folder_alone"
    ),
    **dict.fromkeys(
        [f"{_MINIMAL}#sh-{number}" for number in range(7, 9)],
        "test_an_end_that_redis_could_not_take_comes_by_the_relay",
    ),
    "docs/how-to/write-a-client.md#sh-1": "test_the_runner_understands_the_lines_of_the_page",
    "docs/how-to/write-a-client.md#sh-2": "test_the_judge_of_servers_understands_the_line_of_the_page",
    # JSON
    "docs/how-to/write-a-client.md#json-1": "test_the_runner_tells_a_client_what_is_shown",
    "docs/how-to/write-a-client.md#json-2": "test_what_a_client_writes_is_understood_as_shown",
    "docs/reference/commands.md#json-1": "test_the_run_file_has_the_entries_that_are_shown",
    "docs/reference/http.md#json-1": "test_the_use_of_quotas_has_the_fields_that_are_shown",
    "docs/reference/http.md#json-2": "test_a_person_and_a_code_have_the_fields_that_are_shown",
    "docs/reference/http.md#json-3": "test_a_person_and_a_code_have_the_fields_that_are_shown",
    "docs/reference/http.md#json-4": "test_answers_have_the_fields_that_are_shown",
    "docs/reference/http.md#json-5": "test_a_job_has_the_fields_that_are_shown",
    "docs/reference/http.md#json-6": "test_answers_have_the_fields_that_are_shown",
    "docs/reference/http.md#json-7": "test_answers_have_the_fields_that_are_shown",
    "docs/reference/http.md#json-8": "test_a_video_has_the_fields_that_are_shown",
    "docs/reference/http.md#json-9": "test_the_page_works_from_its_first_to_its_last_step",
    "docs/reference/http.md#json-10": "test_a_video_has_the_fields_that_are_shown",
    "docs/reference/http.md#json-11": "test_answers_have_the_fields_that_are_shown",
    "docs/reference/http.md#json-12": "test_answers_have_the_fields_that_are_shown",
    f"{_PROTOCOL}#json-1": "test_the_record_has_the_fields_that_are_shown",
    **dict.fromkeys(
        [f"{_PROTOCOL}#json-{number}" for number in range(2, 12)],
        "test_frames_of_the_server_have_the_fields_that_are_shown",
    ),
    **dict.fromkeys(
        [f"{_PROTOCOL}#json-{number}" for number in range(12, 16)],
        "test_frames_of_the_client_are_taken_as_shown",
    ),
}


def claimed_by(test: str) -> list[str]:
    """Return the names of the blocks that this test runs or checks."""
    return [block for block, claimant in CLAIMS.items() if claimant == test]
