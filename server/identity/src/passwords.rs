use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;
use zxcvbn::{Score, zxcvbn};

/// Argon2id at OWASP's first choice (19 MiB, 2 passes, 1 lane), which is also the library's default.
/// Each hash takes its memory; no more run at once than there are cores.
#[derive(Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
}

/// Hash checked for unknown emails, so that the check takes as long as for any other.
static DUMMY_HASH: LazyLock<String> = LazyLock::new(|| hash_now("nobody has this password", None));

impl Passwords {
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { running: Arc::new(Semaphore::new(cores)) }
    }

    /// With a salt that is used for nothing else, or a random one.
    pub async fn hash(&self, password: String, salt: Option<[u8; 16]>) -> String {
        self.run(move || hash_now(&nfc(&password), salt)).await
    }

    /// Keyboards write one letter in several ways, so that NFC is what is hashed. Hashes of an earlier version are of
    /// what was typed: that is tried as well.
    pub async fn verify(&self, password: String, hash: Option<String>) -> bool {
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| DUMMY_HASH.clone());
            let composed = nfc(&password);
            let right = fits(&hash, &composed) || (composed != password && fits(&hash, &password));
            known && right
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _turn = self.running.acquire().await.expect("the semaphore is never closed");
        tokio::task::spawn_blocking(work).await.expect("hashing does not panic")
    }
}

fn nfc(password: &str) -> String {
    password.nfc().collect()
}

fn fits(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

fn hash_now(password: &str, salt: Option<[u8; 16]>) -> String {
    let hash: Result<PasswordHash, _> = match salt {
        Some(salt) => Argon2::default().hash_password_with_salt(password.as_bytes(), &salt),
        None => Argon2::default().hash_password(password.as_bytes()),
    };
    hash.expect("any password can be hashed").to_string()
}

/// The fewest characters of a password, however they were typed.
const MIN_CHARS: usize = 10;

/// How much of a password is judged. What a part is worth, the whole is worth too.
const JUDGED: usize = 40;

/// How many kinds of signs are judged that may stand for letters. zxcvbn tries all their readings, which multiply: a
/// hundred characters of twenty kinds take seconds.
const MAX_SIGNS: usize = 4;

/// How much of a text that the church is known by can matter. Forms allow no more, which is checked elsewhere.
const MAX_KNOWN: usize = 254;

/// Strangers may ask at any time: this many passwords are judged at once, also when nobody waits for the answer.
static JUDGING: Semaphore = Semaphore::const_new(2);

/// What every church has in common, as far as it is used as a password.
const COMMON: &str = "jesus christ lord praise church bible faith gospel hallelujah blessed vestry";

/// Whether somebody guesses this password in fewer than 100 million tries, who knows the church: its name, the names of
/// the person and the email are `known`.
pub async fn is_guessable(password: &str, known: &[&str]) -> bool {
    // Full-width letters are the same ones to whoever guesses, and spaces around them are none.
    let password: String = nfc(password).trim().nfkc().collect();
    let words = words_of(known);
    let turn = JUDGING.acquire().await.expect("the semaphore is never closed");
    let judge = move || {
        let _turn = turn;
        // A church's words make a password no better, wherever they stand in it.
        let lower = password.to_lowercase();
        let tight: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
        let rest = |of: &str| {
            let long = words.iter().filter(|word| word.chars().count() > 3);
            long.fold(of.to_owned(), |rest, word| rest.replace(word.as_str(), ""))
        };
        let (rest_of_lower, rest_of_tight) = (rest(&lower), rest(&tight));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let weak = |password: &str| zxcvbn(&judged(password), &words).score() < Score::Three;
        password.chars().count() < MIN_CHARS
            || weak(&password)
            || (rest_of_lower != lower && weak(&rest_of_lower))
            || (rest_of_tight != tight && weak(&rest_of_tight))
    };
    tokio::task::spawn_blocking(judge).await.unwrap_or(true)
}

/// The beginning of a password, without signs of more kinds than are judged.
fn judged(password: &str) -> String {
    let mut kinds = Vec::new();
    let one = |c: char| {
        if "@({[<!|$+%".contains(c) && !kinds.contains(&c) {
            if kinds.len() == MAX_SIGNS {
                return '\u{b7}';
            }
            kinds.push(c);
        }
        c
    };
    password.chars().take(JUDGED).map(one).collect()
}

/// Each text, its words, and its words written as one, in lower case; the longest first.
fn words_of(known: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    for text in known.iter().copied().chain([COMMON]) {
        let text: String = text.chars().take(MAX_KNOWN).nfkc().collect::<String>().to_lowercase();
        let parts: Vec<_> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        words.push(parts.concat());
        words.extend(parts);
        words.push(text);
    }
    words.retain(|word| !word.is_empty());
    words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_others_would_try_first_is_guessable() {
        let known = ["Grace Chapel", "Ruth", "Okafor", "ruth.okafor@example.org"];
        for weak in [
            "password12345",
            "12345678910",
            "qwertyuiop1",
            "jesusislord",
            "GraceChapel1",
            "gr4ce ch4pel 1",
            "GraceChapel2026!",
            "chapel-of-grace-1",
            "ruth.okafor.2026",
            "Okafor!Ruth!123",
            "example.org.2026",
            "xk3",
            "JesusChrist1!",
            "r u t h o k a f o r",
            "\u{ff30}\u{ff41}\u{ff53}\u{ff53}\u{ff57}\u{ff4f}\u{ff52}\u{ff44}12345",
            "password12345          ",
            // Ten characters only as long as each accent counts.
            "a\u{301}e\u{301}i\u{301}o\u{301}u\u{301}",
        ] {
            assert!(is_guessable(weak, &known).await, "{weak}");
        }
        for strong in
            ["river candle mango", "river candle grace mango", "xK3!vq9ZpLw7", "Flußpferd Kerze Mango"]
        {
            assert!(!is_guessable(strong, &known).await, "{strong}");
        }
    }

    #[tokio::test]
    async fn judging_takes_no_longer_for_signs_that_stand_for_letters() {
        let signs = "4@8({[<369!1|l0$5+7%2z".repeat(9);
        let known = "word ".repeat(50_000);
        let begun = std::time::Instant::now();
        is_guessable(&signs, &[&known]).await;
        assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_password_fits_however_its_letters_are_written() {
        let passwords = Passwords::new();
        let (composed, decomposed) = ("caf\u{e9} river candle", "cafe\u{301} river candle");
        let hash = passwords.hash(decomposed.into(), None).await;
        assert!(passwords.verify(composed.into(), Some(hash.clone())).await);
        assert!(passwords.verify(decomposed.into(), Some(hash)).await);
        // As an earlier version has hashed it.
        let old = hash_now(decomposed, None);
        assert!(passwords.verify(decomposed.into(), Some(old)).await);
        assert!(!passwords.verify("cafe river candle".into(), Some(hash_now(composed, None))).await);
    }
}
