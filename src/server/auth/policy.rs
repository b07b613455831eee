//! What the hospital asks of a sign-in: from whom a second factor. Kept as one setting; it decides nothing about what somebody may do.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Auth,
    accounts::{AccountError, Editor},
};
use crate::{
    domain::reason::Role,
    server::ports::{StoreError, StoreResult},
};

const SETTING: &str = "sign_in_policy";

/// What is asked; by default nothing but a password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInPolicy {
    /// Who holds one of these roles is to sign in with a second factor, at the next sign-in if not before.
    pub second_factor_required_for: BTreeSet<Role>,
}

impl Auth {
    /// The policy in force.
    ///
    /// # Errors
    /// As the store's.
    pub async fn policy(&self) -> StoreResult<SignInPolicy> {
        let Some(text) = self.store.setting(SETTING).await? else { return Ok(SignInPolicy::default()) };
        serde_json::from_str(&text).map_err(|error| StoreError::Broken(format!("the setting {SETTING}: {error}")))
    }

    /// Replaces the policy. It counts at the next page of whoever signs in or is signed in.
    ///
    /// # Errors
    /// [`AccountError::AdminOnly`], [`AccountError::Invalid`] for a role that nobody signs in with, or the store's.
    pub async fn set_policy(&self, policy: SignInPolicy, by: &Editor) -> Result<SignInPolicy, AccountError> {
        if !by.may_admin {
            return Err(AccountError::AdminOnly);
        }
        if policy.second_factor_required_for.contains(&Role::Service) {
            let why = "service accounts do not sign in as people do; leave service out";
            return Err(AccountError::invalid("second_factor_required_for", why));
        }
        let was = self.policy().await?;
        if policy != was {
            let detail = json!({ "from": was, "to": policy });
            let entry = by.audit("auth", "sign_in_policy_changed", "policy", detail);
            let text = serde_json::to_string(&policy).expect("roles are text");
            self.store.set_setting(SETTING, &text, entry).await?;
        }
        Ok(policy)
    }
}
