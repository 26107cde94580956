use super::{
    form::{EXPIRIES, SCOPES, TokenForm},
    islands::CopyButton,
    list::{day, scope_words},
};
use crate::{
    answer::{Answer, Flash, Reply},
    branches::edit::rejected,
    forms::{
        Errors,
        fields::{Field, summary},
        guard::{Guard, Kind},
        once::{Claim, Submission, already_sent, key_field, new_key},
    },
    ui::{frame::Door, icon},
    visit::{SignedIn, Visit},
};
use identity::PersonalToken;
use leptos::prelude::*;
use tenant::personal_tokens::{self, PersonalTokenInput};

const LIST: &str = "/settings/tokens";

/// What the form sends is answered with the token itself, which is shown this once and kept nowhere.
pub async fn add(visit: Visit, office: SignedIn) -> Answer {
    let Some(typed) = visit.submitted::<TokenForm>() else {
        return Ok(form_page(&office, &TokenForm::blank(), Errors::default()));
    };
    let details = match typed.details() {
        Ok(details) => details,
        Err(errors) => return Ok(form_page(&office, &typed, errors)),
    };
    let shown = || Ok(Reply::redirect(LIST).saying(Flash::TokenShown));
    let submission = match Submission::claim(&office, &visit).await? {
        Claim::Proceed(submission) => submission,
        Claim::Repeated(_) => return shown(),
        Claim::Reused => {
            let typed = TokenForm { key: new_key(), ..typed };
            return Ok(form_page(&office, &typed, already_sent("name")));
        }
    };
    let token = PersonalToken::generate(office.tenant.id())?;
    // The key is the token's id: also when its claim has been forgotten, it makes one token.
    let id = typed.key.parse().unwrap_or(submission.id);
    let digest = token.digest();
    match personal_tokens::add(&office.tenant, &office.admin, id, &details, &digest).await {
        Ok(true) => {
            tracing::info!(token = %id, admin = %office.admin.id, "access token created");
            submission.remember(LIST).await?;
            Ok(made_page(&office, &details, &token))
        }
        Ok(false) => shown(),
        Err(error) => {
            submission.release().await?;
            Ok(form_page(&office, &typed, rejected(error)?))
        }
    }
}

fn form_page(office: &SignedIn, typed: &TokenForm, errors: Errors) -> Reply {
    let own = |list: &[(&str, &str)]| -> Vec<_> {
        list.iter().map(|(value, words)| ((*value).to_owned(), (*words).to_owned())).collect()
    };
    let (scopes, hint) = match office.admin.editor() {
        Ok(_) => (own(&SCOPES), "In your name, and never more than you may do yourself."),
        Err(_) => (own(&SCOPES[..1]), "You may look and not change, and so may your tokens."),
    };
    let form = view! {
        <form class="stack" method="post" action="/settings/tokens/new" novalidate>
            {summary(&errors)}
            {key_field(&typed.key)}
            {Field::new("name", "Name", &typed.name, &errors).max(80)
                .hint("What will use it, so that you know it again: our website.").input()}
            {Field::new("scope", "What it may do", &typed.scope, &errors).hint(hint).select(scopes)}
            {Field::new("expires", "Expires", &typed.expires, &errors).select(own(&EXPIRIES))}
            <div class="actions">
                <a class="btn quiet" href="/settings/tokens">"Cancel"</a>
                <button class="btn primary">"Make the token"</button>
            </div>
        </form>

    }
    .into_any();
    let body = view! {
        <div class="head">
            <div>
                <a class="back" href="/settings/tokens">{icon::back()}"Access tokens"</a>
                <h1>"Make a token"</h1>
            </div>
        </div>
        <Guard kind=Kind::Token>{form}</Guard>
    };
    Reply::desk("Make a token", Door::Settings, body).unless_wrong(&errors)
}

fn made_page(office: &SignedIn, details: &PersonalTokenInput, token: &PersonalToken) -> Reply {
    let until = match details.expires_at {
        Some(at) => format!("It expires on {}.", day(at, &office.church.timezone)),
        None => "It does not expire.".to_owned(),
    };
    let field = view! {
        <input class="input flex-1 basis-64 font-mono" id="token" readonly=true value=token.reveal()
               aria-label="The token" aria-describedby="token-once" autocomplete="off" spellcheck="false"/>
    }
    .into_any();
    let body = view! {
        <div class="head">
            <div>
                <a class="back" href="/settings/tokens">{icon::back()}"Access tokens"</a>
                <h1>"Copy your token now"</h1>
                <p>{details.name.clone()}" · "{scope_words(details.scope)}". "{until}</p>
            </div>
        </div>
        <div class="card pad grid gap-4">
            <p id="token-once">"It is shown this once, and will not be shown again. Keep it like a password: whoever has it can use it."</p>
            <CopyButton>{field}</CopyButton>
            <p class="muted">"A program sends it with each request, as "<code>"Authorization: Bearer …"</code>". "
                <a href="/api/docs">"How programs use one"</a></p>
            <div class="actions"><a class="btn" href="/settings/tokens">"I have copied it"</a></div>
        </div>
    };
    Reply::desk("Copy your token now", Door::Settings, body)
}
