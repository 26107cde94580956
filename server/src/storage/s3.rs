//! Object storage with the S3 API.

use super::{URL_TTL, hex, percent};
use crate::{Error, config::Config};
use chrono::{DateTime, Utc};
use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
    signer::{Method, SignedUrlOptions, Signer as _},
};
use ring::{digest, hmac};
use std::time::Duration;

/// Presigns URLs.
pub struct Signer {
    store: AmazonS3,
    /// URL of the bucket, without a trailing slash.
    url: String,
    host: String,
    /// Path of the bucket.
    path: String,
    region: String,
    key_id: String,
    key: String,
}

/// Returns `None` without S3_BUCKET.
pub fn open(config: &Config) -> Result<Option<(AmazonS3, Signer)>, Error> {
    let Some(bucket) = config.s3_bucket.clone() else { return Ok(None) };
    let (Some(key_id), Some(key)) =
        (config.s3_access_key_id.as_deref(), config.s3_secret_access_key.as_deref())
    else {
        return Err(Error::S3Keys);
    };
    let (key_id, key) = (key_id.to_owned(), key.to_owned());
    let region = config.s3_region.clone();
    let endpoint = config.s3_endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    let parsed: reqwest::Url = endpoint.parse().map_err(|_| Error::S3Endpoint)?;
    let host = match (parsed.host_str(), parsed.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return Err(Error::S3Endpoint),
    };
    let path = format!("{}/{bucket}", parsed.path().trim_end_matches('/'));
    let options = ClientOptions::new()
        .with_allow_http(parsed.scheme() == "http")
        .with_connect_timeout(Duration::from_secs(2))
        .with_timeout(Duration::from_secs(8));
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 2,
        retry_timeout: Duration::from_secs(6),
    };
    let store = AmazonS3Builder::new()
        .with_endpoint(&endpoint)
        .with_bucket_name(&bucket)
        .with_region(&region)
        .with_access_key_id(&key_id)
        .with_secret_access_key(&key)
        .with_client_options(options)
        .with_retry(retry)
        // Not every S3 server supports bulk deletes.
        .with_disable_bulk_delete(true)
        .build()
        .map_err(|_| Error::S3Endpoint)?;
    let url = format!("{endpoint}/{bucket}");
    let signer = Signer { store: store.clone(), url, host, path, region, key_id, key };
    Ok(Some((store, signer)))
}

impl Signer {
    /// Presigns a PUT with Signature Version 4. Signs Content-Length too, which `object_store` does not: otherwise the URL
    /// would accept any size.
    pub fn upload_url(&self, key: &str, content_type: &str, size: i64, now: DateTime<Utc>) -> String {
        const SIGNED: &str = "content-length;content-type;host";
        let (day, at) = (now.format("%Y%m%d").to_string(), now.format("%Y%m%dT%H%M%SZ").to_string());
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let query = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{}/{scope}", self.key_id)),
            ("X-Amz-Date", at.clone()),
            ("X-Amz-Expires", URL_TTL.as_secs().to_string()),
            ("X-Amz-SignedHeaders", SIGNED.to_owned()),
        ];
        let query = query.map(|(name, value)| format!("{name}={}", percent(&value))).join("&");
        // Keys contain only characters that need no escaping.
        let canonical = format!(
            "PUT\n{}/{key}\n{query}\ncontent-length:{size}\ncontent-type:{content_type}\nhost:{}\n\n{SIGNED}\nUNSIGNED-PAYLOAD",
            self.path, self.host
        );
        let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{digest}");
        let first = format!("AWS4{}", self.key).into_bytes();
        let key_of_day = [day.as_str(), &self.region, "s3", "aws4_request"]
            .iter()
            .fold(first, |key, part| sign(&key, part));
        let signature = hex(&sign(&key_of_day, &text));
        format!("{}/{key}?{query}&X-Amz-Signature={signature}", self.url)
    }

    pub async fn download_url(
        &self,
        key: &str,
        disposition: &str,
        content_type: &str,
    ) -> object_store::Result<String> {
        let options = SignedUrlOptions::default().with_query([
            ("response-content-disposition", disposition),
            ("response-content-type", content_type),
        ]);
        let url = self.store.signed_url_opts(Method::GET, &Path::from(key), URL_TTL, &options).await?;
        Ok(url.to_string())
    }
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}
