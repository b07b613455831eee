//! What becomes of a token after it was given out: revocation (RFC 7009) and introspection (RFC 7662). Issues nothing.

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{
    Auth, AuthError, audit,
    forms::{Form, TokenRequest},
    grants::TokenError,
    scopes::{parse_claim, scopes_of_roles, to_claim},
    secrets,
    tokens::{self, LEEWAY, TOKEN_MAX_BYTES},
};
use crate::server::ports::Client;

/// What a living token says, as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivingToken {
    /// An access token; else a refresh token.
    pub is_access: bool,
    /// What it may be used for now: never more than its owner's roles allow.
    pub scope: String,
    /// The client that it was issued to.
    pub client_id: String,
    /// Username, or client id of a service account.
    pub username: String,
    /// The owner's id.
    pub sub: Uuid,
    /// Its session.
    pub sid: Uuid,
    /// Dead from this second on.
    pub exp: i64,
    /// Issued at.
    pub iat: i64,
    /// The API that it is for; an access token's.
    pub aud: Option<String>,
    /// Its own id; an access token's.
    pub jti: Option<String>,
}

impl Auth {
    /// Ends the session that a token belongs to; a token that is unknown or dead is revoked already.
    ///
    /// # Errors
    /// [`TokenError`]; nothing was revoked then.
    pub async fn revoke(&self, request: TokenRequest<'_>) -> Result<(), TokenError> {
        let form = Form::read(request.body)?;
        let client = self.client_of(&request, &form).await?;
        let token = form.require("token")?;
        let now = super::now();
        let (client_id, username, sid, last_token) = match self.sessions.refresh_token(secrets::hash(token)).await? {
            Some(known) => {
                (known.session.client_id, known.session.sign_in.username.to_string(), known.session.sid, now)
            }
            None => match self.verify(token, now).await {
                Ok(claims) => {
                    // Verification bears a clock that is behind, and so must the list of what has ended.
                    let last = claims.exp.saturating_add(LEEWAY);
                    let last = Timestamp::from_second(last).unwrap_or(now);
                    (claims.client_id.clone(), claims.username.clone(), claims.sid, last)
                }
                Err(_) => return Ok(()),
            },
        };
        if client_id != client.client_id {
            return Err(TokenError::UnauthorizedClient);
        }
        let detail = json!({ "sid": sid, "source": request.source.to_string() });
        let entry = audit::entry("token_revoked", Some(&client_id), Some(&username), detail);
        Ok(self.end(sid, last_token, entry).await?)
    }

    /// What a token says; `None` where it is dead, for whatever reason. Only for clients with a secret, and about refresh tokens only their own.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn introspect(&self, request: TokenRequest<'_>) -> Result<Option<LivingToken>, TokenError> {
        let form = Form::read(request.body)?;
        let client = self.client_of(&request, &form).await?;
        if client.secret_hash.is_none() {
            return Err(TokenError::InvalidClient);
        }
        let token = form.require("token")?;
        // Who asks here wants to know it now, and not as of a moment ago.
        self.refresh().await;
        match self.living_access_token(token).await {
            Ok(living) => Ok(Some(living)),
            Err(_) => self.living_refresh_token(token, &client).await,
        }
    }

    async fn living_access_token(&self, token: &str) -> Result<LivingToken, AuthError> {
        let principal = self.authenticate(token, None).await?;
        let claims = self.verify(token, Timestamp::now()).await?;
        Ok(LivingToken {
            is_access: true,
            scope: to_claim(&principal.scopes),
            client_id: claims.client_id.clone(),
            username: claims.username.clone(),
            sub: claims.sub,
            sid: claims.sid,
            exp: claims.exp,
            iat: claims.iat,
            aud: Some(tokens::audience(self.issuer())),
            jti: Some(claims.jti.clone()),
        })
    }

    async fn living_refresh_token(&self, token: &str, client: &Client) -> Result<Option<LivingToken>, TokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Ok(None);
        }
        let Some(known) = self.sessions.refresh_token(secrets::hash(token)).await? else { return Ok(None) };
        let (now, session) = (super::now(), known.session);
        let alive = !known.ended && known.used_at.is_none() && now < known.idle_until && now < session.expires_at;
        let owner = self.snapshot.subject(session.sign_in.user);
        let owner = owner.filter(|owner| !owner.disabled && owner.generation == session.sign_in.generation);
        let own = session.client_id == client.client_id && session.created_at > client.valid_from;
        let Some(owner) = owner.filter(|_| alive && own) else { return Ok(None) };
        let may = scopes_of_roles(&owner.roles);
        Ok(Some(LivingToken {
            is_access: false,
            scope: to_claim(parse_claim(&session.scope).intersection(&may)),
            client_id: session.client_id,
            username: owner.username.clone(),
            sub: owner.id.0,
            sid: session.sid,
            exp: known.idle_until.min(session.expires_at).as_second(),
            iat: session.last_used_at.as_second(),
            aud: None,
            jti: None,
        }))
    }
}
