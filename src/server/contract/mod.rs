//! What every adapter of the ports must do, written once: a suite of functions over the ports alone. It must never name an adapter.
#![expect(clippy::unwrap_used, reason = "tests")]

mod feed;
mod hospital;
mod identity;
mod lists;
mod pipeline;
mod reference;
mod sessions;
mod texts;

pub(crate) use self::{feed::*, hospital::*, identity::*, lists::*, pipeline::*, reference::*, sessions::*, texts::*};

/// Declares a test for every function of the suite; `$ports` makes the ports of a new, empty adapter and what keeps them alive. An adapter of some ports
/// only names its parts of the suite, and may say what its tests need: then they are ignored where it is not asked for them.
macro_rules! contract_suite {
    ($ports:path) => {
        $crate::server::contract::contract_suite! { @parts [$ports] tickets reference identity sessions }
    };
    ($ports:path; $($part:ident),+; $needs:literal) => {
        $crate::server::contract::contract_suite! { @parts [$ports, $needs] $($part)+ }
    };
    (@parts $how:tt $($part:ident)+) => {
        $($crate::server::contract::contract_suite! { @$part $how })+
    };
    (@tickets $how:tt) => {
        $crate::server::contract::contract_suite! { @each $how
            one_create_has_one_ticket_and_one_answer,
            one_key_sent_at_once_by_many_has_one_effect,
            a_key_used_for_something_else_is_refused,
            of_racing_claims_one_wins,
            a_stale_command_learns_what_changed,
            a_command_for_no_ticket_is_refused_for_good,
            the_whole_way_from_request_to_delivery,
            an_open_request_is_reported_until_it_ends,
            a_missing_dose_meets_the_same_patient_only,
            numbers_count_by_ward_without_gap,
            an_identifier_belongs_to_one_ticket,
            the_feed_has_no_gap_and_resumes_anywhere,
            watchers_learn_of_commits,
            time_never_goes_back,
            erased_texts_are_gone_for_good,
            every_page_is_reached_and_the_total_is_right,
            filters_agree_with_a_naive_one,
            search_ignores_case_and_accents_and_survives_any_text,
            a_reader_sees_their_places_only,
            cursors_are_bound_to_their_order,
            a_number_is_of_one_ticket,
            routing_rules_are_facts_of_the_next_create,
        }
    };
    (@reference $how:tt) => {
        $crate::server::contract::contract_suite! { @each $how
            reference_data_is_written_whole_or_not_at_all,
            the_site_has_one_zone,
            medications_are_found_by_words_and_scans,
            a_box_is_found_by_its_whole_code,
        }
    };
    (@identity $how:tt) => {
        $crate::server::contract::contract_suite! { @each $how
            users_are_inserted_once_and_updated_as_they_were_read,
            clients_and_users_have_authority,
            a_link_is_taken_once,
            one_key_signs_per_algorithm,
            the_audit_log_pages_newest_first,
            a_setting_is_fixed_once,
        }
    };
    (@sessions $how:tt) => {
        $crate::server::contract::contract_suite! { @each $how
            of_parallel_refreshes_one_has_a_successor,
            a_lost_answer_to_a_refresh_is_given_again,
            an_old_refresh_token_ends_its_session,
            a_refresh_token_dies_with_its_time_and_its_session,
            of_parallel_redemptions_one_opens_a_session,
            a_device_that_asks_too_often_is_slowed_down_and_not_lost,
            a_device_waits_for_one_word,
            a_new_generation_kills_what_was_issued_before,
            an_ended_session_is_listed_until_its_tokens_are_dead,
            open_sessions_are_listed_last_used_first,
            a_second_factor_is_spent_once,
            only_what_is_long_over_is_forgotten,
        }
    };
    (@each $how:tt $($test:ident,)+) => {
        $($crate::server::contract::contract_suite! { @one $how $test })+
    };
    (@one [$ports:path $(, $needs:literal)?] $test:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[ignore = $needs])?
        async fn $test() {
            let (ports, _keep) = $ports().await;
            $crate::server::contract::$test(ports).await;
        }
    };
}
pub(crate) use contract_suite;
