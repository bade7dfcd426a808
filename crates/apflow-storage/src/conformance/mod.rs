//! The rules every backend must keep, as tests that are stamped for each of them.
//!
//! A backend brings an async function that takes [`OpenOptions`](crate::OpenOptions) and returns a
//! fresh, empty store; [`store_conformance!`](crate::store_conformance) makes one test of each rule:
//!
//! ```ignore
//! async fn in_memory(options: OpenOptions) -> Arc<dyn Store> {
//!     apflow_storage::open("sqlite::memory:", options).await.unwrap()
//! }
//! apflow_storage::store_conformance!(sqlite_memory, in_memory);
//! ```
//!
//! What has to live as long as the store, such as a directory, is returned beside it: see [`Fresh`].
//! After each rule [`audit`] compares what the store counts with what its records say.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "these are tests: a rule that is broken panics"
)]

mod audit;
mod bed;
mod forest;

pub mod access;
pub mod budgets;
pub mod callbacks;
pub mod cancel;
pub mod channels;
pub mod checkpoint;
pub mod claim;
pub mod conditions;
pub mod demo;
pub mod derive;
pub mod effects;
pub mod failure;
pub mod flow;
pub mod history;
pub mod joins;
pub mod journal;
pub mod jumps;
pub mod keys;
pub mod prune;
pub mod results;
pub mod schedule;
pub mod settle;
pub mod snapshot;
pub mod start;
pub mod submit;
pub mod time;
pub mod together;
pub mod update;
pub mod waits;

pub use audit::audit;
pub use bed::{Bed, Fresh, HandClock, done, failed, handed_back, parked};
pub use forest::{definition, forest};

/// One test of each rule, in a module of its own, for a backend that `$open` opens.
///
/// `$open` is called as `async fn(OpenOptions) -> T` with `T: Into<Fresh>`.
#[macro_export]
macro_rules! store_conformance {
    ($module:ident, $open:expr) => {
        mod $module {
            use super::*;

            $crate::store_conformance! { @rules ($open)
                submit::a_submission_comes_back_as_it_was_written,
                submit::numbers_text_and_depth_come_back_exactly,
                submit::a_subtree_lists_parents_before_children,
                submit::lists_are_newest_first_and_children_by_priority,
                submit::lists_and_counts_follow_the_filter,
                submit::a_page_is_a_part_of_the_list,
                submit::ids_that_begin_alike_are_found_in_the_order_of_their_bytes,
                submit::what_is_not_there_is_none,
                submit::a_taken_id_is_refused_and_the_rest_of_the_commit_stands,
                submit::a_taken_tree_id_is_refused,
                submit::an_id_twice_in_one_submission_is_refused,
                submit::an_idempotency_key_gives_its_first_answer_again,
                submit::an_idempotency_key_is_not_for_another_request,
                submit::an_idempotency_key_belongs_to_its_owner,
                submit::a_refused_submission_does_not_use_up_its_key,
                submit::a_large_submission_is_stored_whole,

                claim::the_most_urgent_goes_first_and_then_the_oldest,
                claim::a_claim_never_exceeds_its_limit,
                claim::a_claim_tells_the_worker_what_it_has_to_know,
                claim::a_claimed_task_is_taken,
                claim::whatever_became_ready_is_claimed_in_the_same_transaction,
                claim::a_task_that_became_ready_does_not_overtake_an_urgent_one,
                claim::the_next_moment_is_the_earliest_lease_retry_or_deadline,

                checkpoint::the_newest_checkpoint_is_handed_to_the_next_attempt,
                checkpoint::a_checkpoint_survives_the_end_of_its_lease,
                checkpoint::a_stale_lease_puts_nothing_aside,
                checkpoint::a_checkpoint_is_forgotten_with_its_run,
                checkpoint::checkpoints_that_come_together_are_judged_one_by_one,

                snapshot::a_run_goes_on_from_where_the_snapshot_was_taken,
                snapshot::a_failed_run_is_restored_as_it_failed,
                snapshot::what_was_running_begins_again_from_its_checkpoint,
                snapshot::a_deferred_snapshot_is_taken_with_the_end_of_its_task,
                snapshot::snapshots_are_bounded_and_go_with_their_submission,
                snapshot::a_snapshot_fits_what_is_there_or_is_refused,
                snapshot::what_is_exported_and_adopted_is_the_same,
                snapshot::a_database_says_how_large_it_is,
                conditions::what_a_condition_passes_over_fails_nothing,
                conditions::a_join_any_without_any_is_asked_itself,
                conditions::a_second_run_asks_a_condition_again_only_where_it_matters,
                conditions::a_member_that_fails_is_the_groups_business,
                conditions::a_group_that_fails_fails_the_run,
                conditions::a_group_that_cannot_succeed_stops_its_members,

                results::results_are_handed_over_in_the_authors_order,
                results::results_settled_in_the_same_transaction_are_handed_over,
                results::a_null_result_is_a_result,
                results::structure_hands_nothing_over,
                results::a_need_that_did_not_complete_hands_nothing_over,
                results::a_result_of_several_parts_comes_back_whole,
                results::a_shorter_result_replaces_a_longer_one,
                results::resolved_inputs_lie_beside_the_callers,
                results::a_result_beside_an_error_is_kept,

                settle::a_stale_lease_settles_nothing,
                settle::a_second_report_is_refused,
                settle::the_first_of_two_reports_in_one_batch_counts,
                settle::one_refused_item_leaves_its_batch_intact,
                settle::a_refused_result_never_reaches_a_dependent,
                settle::a_task_that_was_handed_back_was_not_tried,
                settle::a_parked_task_holds_no_worker_and_keeps_its_run_going,
                settle::an_attempt_that_failed_is_tried_again_while_attempts_are_left,

                joins::a_diamond_runs_in_order,
                joins::a_required_need_must_complete,
                joins::an_optional_need_only_has_to_end,
                joins::a_parent_comes_after_its_children,
                joins::a_child_may_depend_on_its_parent,
                joins::any_one_completed_need_is_enough,
                joins::a_join_any_whose_needs_all_failed_stays_blocked,
                joins::trees_of_one_submission_may_depend_on_one_another,
                joins::a_parent_is_released_when_a_child_can_never_run,
                joins::parents_are_released_from_the_leaves_up,

                effects::a_gathering_task_goes_on_with_what_its_children_returned,
                effects::a_second_gathering_finds_the_first_one_done,
                effects::a_gathering_goes_on_although_a_child_can_never_run,
                effects::whoever_waits_for_a_spawner_waits_for_what_it_spawned,
                effects::a_failed_attempt_spawns_nothing,
                effects::a_task_that_iterates_is_done_after_its_last_pass,
                effects::passes_have_an_end,
                effects::spawned_tasks_are_bounded_in_number_and_depth,
                effects::ten_thousand_tasks_are_spawned_at_once,

                jumps::two_tasks_jump_to_one_another_until_one_is_done,
                jumps::a_jump_back_runs_again_what_comes_after_its_target,
                jumps::what_nobody_reached_is_skipped_at_the_end,
                jumps::a_jump_that_cannot_be_made_fails_its_task,
                jumps::jumps_have_an_end,
                jumps::a_finished_run_is_a_success,
                jumps::a_task_may_cancel_its_run,
                jumps::a_run_that_goes_on_keeps_what_its_children_did,
                jumps::a_spawner_that_runs_afresh_drops_what_it_spawned,
                jumps::a_failed_child_runs_again_without_its_spawner,
                jumps::a_failure_after_a_jump_is_tried_again_where_it_happened,

                failure::dependents_of_a_failure_stay_blocked_and_the_rest_finishes,
                failure::a_run_that_failed_names_what_failed_and_what_is_blocked,
                failure::fail_fast_cancels_whatever_has_not_ended,
                failure::fail_fast_stays_within_its_tree,
                failure::skip_dependents_skips_them_and_the_rest_finishes,
                failure::an_optional_dependent_of_a_skipped_task_runs,

                start::what_is_stored_waits_to_be_asked,
                start::a_second_run_waits_for_the_first,
                start::a_second_run_takes_what_failed_its_dependents_and_what_never_ran,
                start::a_completed_tree_runs_again_only_if_asked,
                start::a_child_runs_with_its_closure_and_nothing_else,
                start::a_run_of_a_child_leaves_the_rest_as_it_was,
                start::a_run_names_only_its_own_failures,
                start::a_cancelled_task_never_runs_again,
                start::a_task_that_was_reset_runs_again,
                start::an_unknown_task_cannot_be_started,
                start::a_new_run_forgets_the_last_one,

                cancel::a_cancellation_takes_descendants_and_dependents_along,
                cancel::a_task_that_ended_stays_as_it_is,
                cancel::a_late_report_does_not_undo_a_cancellation,
                cancel::a_cancellation_raises_the_token_and_ends_the_lease,
                cancel::a_run_without_failures_ends_cancelled,
                cancel::a_retry_or_a_wait_is_cancelled_too,
                cancel::what_was_never_started_can_be_cancelled,
                cancel::the_last_of_several_needs_takes_a_join_any_along,

                time::a_lapsed_lease_is_taken_up_again_under_a_higher_token,
                time::a_task_whose_workers_vanish_fails_in_the_end,
                time::a_task_with_max_attempts_is_not_tried_more_often,
                time::a_renewed_lease_does_not_lapse,
                time::a_stale_renewal_is_refused,
                time::a_retry_is_due_when_its_delay_is_over,
                time::a_wait_that_nobody_answers_fails,
                time::a_tree_that_takes_too_long_is_cancelled,
                time::time_acts_on_a_bounded_number_at_once,
                time::the_work_of_the_living_is_left_alone,

                update::an_update_changes_what_it_names_and_nothing_else,
                update::an_authored_field_is_merged_by_its_name,
                update::a_new_priority_counts_at_the_next_claim,
                update::dependencies_can_be_rewired_before_the_run,
                update::a_loop_of_dependencies_is_refused,
                update::a_dependency_outside_the_submission_is_refused,
                update::dependencies_of_a_running_task_stay,
                update::a_status_that_cannot_follow_is_refused,
                update::a_task_that_is_taken_over_can_be_reported,
                update::a_task_cancelled_by_its_status_takes_others_along,
                update::an_error_cannot_be_taken_from_a_task_that_failed,
                update::a_failure_that_is_reported_without_words_gets_some,
                update::a_refused_update_changes_nothing,
                update::a_reset_failure_no_longer_fails_the_run,
                update::a_pending_subtree_can_be_deleted,
                update::what_is_needed_or_not_pending_cannot_be_deleted,
                update::what_is_about_to_run_cannot_be_deleted,
                update::a_deleted_blocked_task_does_not_fail_the_next_run,
                update::a_place_in_the_order_is_never_given_twice,

                derive::a_copy_begins_anew_and_hangs_together_as_its_source,
                derive::a_copy_has_the_callers_inputs_and_the_fields_that_are_reset,
                derive::a_task_alone_is_made_without_parent_and_dependencies,
                derive::a_dependency_beside_the_subtree_is_refused_or_taken_along,
                derive::what_depends_on_the_tasks_comes_along_if_it_is_asked_for,
                derive::dependencies_across_the_trees_of_a_submission_are_taken_along,
                derive::a_copy_leaves_out_what_was_spawned,
                derive::a_link_answers_with_what_its_original_says,
                derive::a_link_or_copy_of_a_link_is_one_of_the_original,
                derive::only_what_completed_is_linked_or_archived,
                derive::a_link_does_not_change_and_runs_nothing,
                derive::an_archive_does_not_change,
                derive::an_archived_part_stays_while_the_rest_runs_again,
                derive::a_mixed_tree_runs_its_copies_with_the_results_of_its_links,
                derive::a_copied_parent_waits_for_copies_below_a_link,
                derive::an_original_is_not_run_again_while_its_links_are_read,
                derive::what_is_linked_to_cannot_be_deleted,
                derive::what_is_linked_to_is_not_pruned_before_its_links,
                derive::nobody_gets_a_link_to_a_task_of_somebody_else,
                derive::a_preview_stores_nothing,
                derive::a_link_and_a_new_run_of_its_original_do_not_meet,
                derive::what_cannot_be_stored_is_not_stored_in_part,

                keys::a_key_begins_one_run,
                keys::a_key_is_not_for_another_run_or_tree,
                keys::a_refused_run_does_not_use_up_its_key,
                keys::a_key_makes_one_tree,
                keys::k9_a_hundred_requests_with_one_key_begin_one_run_and_make_one_tree,
                keys::keys_are_forgotten_after_a_while,

                prune::what_ended_long_ago_goes_in_bounded_batches,
                prune::what_runs_or_never_ran_stays,
                prune::a_submission_goes_only_as_a_whole,

                history::every_attempt_that_ended_without_a_result_is_remembered,
                history::a_lost_attempt_of_an_earlier_pass_hides_no_later_one,
                history::one_attempt_that_completed_is_shown_without_a_row,
                history::of_many_attempts_the_first_and_the_newest_stay,
                history::a_task_that_failed_for_good_leaves_a_letter,
                history::a_lost_task_leaves_a_letter_and_a_reported_one_does_not,
                history::a_letter_goes_when_its_task_begins_anew_or_is_set_back,
                history::letters_are_found_by_owner_executor_kind_and_time,
                history::beyond_their_bound_the_oldest_letters_of_an_owner_go,
                history::attempts_and_letters_go_with_their_task,
                history::a_task_that_waits_too_long_for_a_worker_fails,
                history::a_task_that_takes_too_long_over_all_its_attempts_fails,
                history::a_changed_bound_counts_at_once_and_stays,
                history::the_next_attempt_is_told_how_far_the_last_one_was,

                journal::events_of_a_tree_come_in_order,
                journal::every_task_ends_once_and_every_run_ends_once,
                journal::a_reader_resumes_where_it_stopped,
                journal::a_retry_and_a_reset_are_noted,
                journal::signals_tell_what_changed,
                journal::a_listener_is_told_what_came_of_a_task,
                journal::a_run_happens_after_the_position_it_was_given,

                budgets::p8_two_spenders_of_one_budget_never_pass_its_limit,
                budgets::a_used_up_budget_ends_the_task_and_says_so,
                budgets::failed_attempts_spend_from_the_budget_of_their_task,
                budgets::a_lost_lease_gives_back_its_part_of_a_budget_and_is_charged_nothing,
                budgets::every_budget_that_concerns_a_task_bounds_it,
                budgets::a_budget_begins_anew_with_its_period,
                budgets::policies_of_budgets_act_from_their_threshold_on,
                budgets::a_budget_that_asks_waits_for_a_decision,
                budgets::a_budget_counts_what_was_spent_before_it_was_set,
                budgets::what_budgets_went_into_is_summed_up_by_what_is_asked_for,
                budgets::a_task_that_does_not_spend_waits_for_no_budget,
                budgets::g9_many_spenders_with_crashes_never_pass_the_limit_of_a_budget,

                demo::a_demonstration_stays_one_after_a_crash,
                demo::the_run_after_a_demonstration_is_real,
                demo::what_is_only_stored_is_no_demonstration,
                flow::a_slot_comes_free_however_its_holder_leaves,
                flow::whoever_leaves_before_it_begins_is_followed,
                flow::a_line_moves_by_urgency,
                flow::those_who_are_held_stand_in_nobodys_way,
                flow::a_task_with_two_keys_takes_both_slots_or_none,
                flow::a_shared_limit_is_set_raised_and_taken_away,
                flow::a_pace_is_kept,
                flow::a_shared_pace_is_kept,
                flow::an_open_breaker_holds_and_burns_no_attempt,
                flow::a_probe_that_fails_or_vanishes_is_followed,
                flow::a_breaker_is_reset_by_hand,
                flow::claims_at_once_keep_the_limit,
                flow::an_update_takes_a_task_out_of_its_line,
                flow::a_new_run_keeps_its_limits,
                flow::no_history_leaks_a_slot,
                callbacks::a_callback_begins_with_its_run,
                callbacks::a_callback_of_a_second_run_tells_nothing_of_the_first,
                callbacks::a_callback_is_held_by_one,
                callbacks::a_callback_goes_on_where_it_stopped,
                callbacks::a_failed_delivery_waits_for_its_time,
                callbacks::a_callback_that_is_over_is_never_taken,
                callbacks::callbacks_take_turns,
                callbacks::callbacks_of_the_living_are_left_alone,
                callbacks::callbacks_go_with_their_tree,
                callbacks::two_deliverers_never_share_a_callback,

                waits::a_question_is_listed_answered_once_and_handed_over,
                waits::two_questions_of_one_task_keep_their_own_answers,
                waits::a_withdrawn_question_wakes_its_task_and_takes_no_answer,
                waits::a_question_that_nobody_answers_ends_as_it_was_said,
                waits::a_timer_wakes_its_task_and_is_not_set_again,
                waits::what_ends_a_task_closes_its_question,
                waits::a_new_run_asks_anew,
                waits::an_event_wakes_whom_it_concerns_and_nobody_else,
                waits::an_event_that_came_before_is_found_by_those_who_look_back,
                waits::an_event_of_one_owner_wakes_only_his_tasks,
                waits::whoever_waits_for_a_run_hears_how_it_ended,
                waits::a_paused_task_is_not_taken_and_a_resumed_one_is,
                waits::a_paused_tree_holds_whatever_becomes_ready,
                waits::of_answers_at_once_one_is_taken,
                waits::an_event_and_a_task_that_looks_back_do_not_miss_each_other,
                waits::waits_go_with_their_task,
                channels::a_value_comes_back_as_it_was_written,
                channels::a_write_is_done_only_where_what_it_expects_is_there,
                channels::sums_and_lists_begin_where_nothing_is,
                channels::a_value_is_gone_when_its_time_is_over,
                channels::keys_are_listed_in_order_and_in_pages,
                channels::a_lock_is_held_by_one_and_lost_with_its_time,
                channels::what_is_done_under_a_lost_lock_is_refused,
                channels::spaces_do_not_meet,
                channels::what_cannot_be_kept_is_refused,
                channels::s05_what_is_added_at_once_is_all_there,
                channels::s05_what_is_appended_at_once_is_all_there,
                channels::s05_what_is_done_under_a_lock_is_done_one_after_another,
                channels::a_full_channel_takes_no_more_until_something_goes,
                channels::operations_are_linearizable,
                channels::a_submission_has_one_channel,
                channels::a_run_that_goes_on_keeps_its_channel,
                channels::a_run_from_nothing_begins_with_an_empty_channel,
                channels::a_channel_goes_with_its_submission,

                access::a_token_comes_back_as_it_was_stored,
                access::a_taken_name_is_refused_and_the_first_token_stays,
                access::a_token_that_was_taken_back_still_counts_as_one,
                access::a_token_that_expired_can_be_forgotten_and_not_before,
                access::the_last_use_of_a_token_is_noted,
                access::a_mark_is_seen_once_until_its_time_is_over,
                access::one_mark_is_first_for_one_of_many,
                schedule::the_next_slot_is_known_when_a_task_is_stored,
                schedule::a_schedule_on_a_root_runs_the_whole_submission_afresh,
                schedule::a_schedule_on_a_child_runs_its_closure_and_nothing_else,
                schedule::a_slot_fires_once_however_often_it_comes,
                schedule::a_slot_is_skipped_while_the_run_before_goes_on,
                schedule::a_queued_slot_fires_when_the_run_ends,
                schedule::cancel_running_ends_the_run_and_begins_the_next,
                schedule::missed_slots_fire_as_the_author_said,
                schedule::a_schedule_goes_off_with_its_last_slot,
                schedule::a_changed_schedule_is_followed_from_then_on,
                schedule::schedules_are_listed_by_their_next_slot,
                schedule::a_run_that_somebody_else_drove_is_counted,
                schedule::a_run_begun_by_hand_counts_as_a_run_of_the_schedule,
                schedule::a_backfill_starts_what_never_fired_each_once,
                schedule::old_slots_are_forgotten_and_never_fire_again,
                schedule::what_is_on_a_schedule_is_not_pruned,
                schedule::schedulers_at_once_never_fire_a_slot_twice,

                together::fan_ins_that_settle_at_once_leave_nobody_asleep,
                together::two_claimers_never_share_a_task,
                together::of_many_reports_under_one_lease_one_is_taken,
                together::a_fresh_report_wins_over_stale_ones,
                together::a_cancellation_or_a_report_wins_but_never_both,
                together::a_renewal_or_a_lapse_wins_but_never_both,
                together::submissions_at_once_are_all_answered,
                together::one_idempotency_key_makes_one_tree,
                together::of_many_starts_one_begins_the_run,
                together::one_id_is_stored_once,
            }
        }
    };
    (@rules ($open:expr) $($group:ident :: $rule:ident,)*) => {
        $crate::store_conformance! { @some ($open) $($group :: $rule,)* }

        #[test]
        fn every_rule_is_stamped() {
            assert_eq!(
                $crate::conformance::rules_that_are_missing(&[$(stringify!($rule)),*]),
                [""; 0]
            );
        }
    };
    (@some ($open:expr) $($group:ident :: $rule:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let bed = $crate::conformance::Bed::open($open).await;
                $crate::conformance::$group::$rule(&bed).await;
                $crate::conformance::audit(bed.store.as_ref()).await;
            }
        )*
    };
}

/// Tests of the rules of derived tasks and of keys alone, for the model that the databases follow.
#[macro_export]
macro_rules! derive_conformance {
    ($module:ident, $open:expr) => {
        mod $module {
            use super::*;

            $crate::store_conformance! { @some ($open)
                derive::a_copy_begins_anew_and_hangs_together_as_its_source,
                derive::a_copy_has_the_callers_inputs_and_the_fields_that_are_reset,
                derive::a_task_alone_is_made_without_parent_and_dependencies,
                derive::a_dependency_beside_the_subtree_is_refused_or_taken_along,
                derive::what_depends_on_the_tasks_comes_along_if_it_is_asked_for,
                derive::dependencies_across_the_trees_of_a_submission_are_taken_along,
                derive::a_link_answers_with_what_its_original_says,
                derive::a_link_or_copy_of_a_link_is_one_of_the_original,
                derive::only_what_completed_is_linked_or_archived,
                derive::a_link_does_not_change_and_runs_nothing,
                derive::an_archive_does_not_change,
                derive::an_archived_part_stays_while_the_rest_runs_again,
                derive::a_mixed_tree_runs_its_copies_with_the_results_of_its_links,
                derive::a_copied_parent_waits_for_copies_below_a_link,
                derive::an_original_is_not_run_again_while_its_links_are_read,
                derive::what_is_linked_to_cannot_be_deleted,
                derive::what_is_linked_to_is_not_pruned_before_its_links,
                derive::nobody_gets_a_link_to_a_task_of_somebody_else,
                derive::a_preview_stores_nothing,
                derive::a_link_and_a_new_run_of_its_original_do_not_meet,
                derive::what_cannot_be_stored_is_not_stored_in_part,
                keys::a_key_begins_one_run,
                keys::a_key_is_not_for_another_run_or_tree,
                keys::a_refused_run_does_not_use_up_its_key,
                keys::a_key_makes_one_tree,
                keys::k9_a_hundred_requests_with_one_key_begin_one_run_and_make_one_tree,
                keys::keys_are_forgotten_after_a_while,
            }
        }
    };
}

/// The rules written in this module that a list of names does not have.
pub fn rules_that_are_missing(listed: &[&str]) -> Vec<&'static str> {
    let sources = [
        include_str!("access.rs"),
        include_str!("budgets.rs"),
        include_str!("callbacks.rs"),
        include_str!("cancel.rs"),
        include_str!("channels.rs"),
        include_str!("claim.rs"),
        include_str!("conditions.rs"),
        include_str!("demo.rs"),
        include_str!("flow.rs"),
        include_str!("derive.rs"),
        include_str!("failure.rs"),
        include_str!("history.rs"),
        include_str!("journal.rs"),
        include_str!("keys.rs"),
        include_str!("joins.rs"),
        include_str!("prune.rs"),
        include_str!("results.rs"),
        include_str!("schedule.rs"),
        include_str!("settle.rs"),
        include_str!("start.rs"),
        include_str!("submit.rs"),
        include_str!("time.rs"),
        include_str!("together.rs"),
        include_str!("update.rs"),
        include_str!("waits.rs"),
    ];
    sources
        .iter()
        .flat_map(|source| source.lines())
        .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
        .filter(|rule| !listed.contains(rule))
        .collect()
}
