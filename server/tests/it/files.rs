//! Files by presigned addresses, and pictures on pages, in the data directory and in object storage that verifies
//! signatures.

use crate::harness::{Church, Page, TestServer};
use image::{DynamicImage, ImageFormat, RgbImage};
use reqwest::{Method, StatusCode, multipart};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use server::{files::Files, storage::SignedUrl};
use std::{
    io::Cursor,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tenant::{
    Tenant,
    admins::{self, Admin},
    files::ObjectKind,
};
use tokio::{net::TcpListener, task::JoinHandle};
use uuid::Uuid;

const BUCKET: &str = "vestry-files";

/// Object storage in the test's process. It knows one key, and believes nobody without a signature by it.
struct S3 {
    folder: TempDir,
    addr: SocketAddr,
    serving: JoinHandle<()>,
}

impl S3 {
    async fn start() -> Self {
        // Unencrypted, but the storage's client asks for a provider all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let mut builder =
            S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).expect("a file system"));
        builder.set_auth(SimpleAuth::from_single("AKIATEST", "a secret of the test"));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let answer = move |request: axum::extract::Request| {
            let service = service.clone();
            async move {
                let request = request.map(s3s::Body::http_body_unsync);
                match service.call(request).await {
                    Ok(answer) => answer.map(axum::body::Body::new),
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        let app = axum::Router::new().fallback(answer);
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { folder, addr, serving }
    }

    async fn server(&self) -> TestServer {
        TestServer::start_with(|config| {
            config.s3_bucket = Some(BUCKET.into());
            config.s3_endpoint = Some(format!("http://{}", self.addr));
            config.s3_access_key_id = Some("AKIATEST".into());
            config.s3_secret_access_key = Some("a secret of the test".into());
        })
        .await
    }

    fn objects(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }
}

/// A church, its owner, and where its files lie.
struct Office {
    server: TestServer,
    church: Church,
    tenant: Tenant,
    owner: Admin,
    objects: PathBuf,
}

impl Office {
    async fn in_folder() -> Self {
        let server = TestServer::start().await;
        let objects = server.registry.data_dir().join("files");
        Self::of(server, objects, "Grace Chapel").await
    }

    async fn in_s3(s3: &S3) -> Self {
        Self::of(s3.server().await, s3.objects(), "Grace Chapel").await
    }

    async fn of(server: TestServer, objects: PathBuf, name: &str) -> Self {
        let church = Church::open(&server, name).await;
        let (tenant, owner) = enter(&server, &church).await;
        Self { server, church, tenant, owner, objects }
    }

    fn files(&self) -> &Files {
        &self.server.running.files
    }

    async fn spec(&self, name: &str, kind: &str, size: usize) -> (Uuid, SignedUrl) {
        let (id, editor) = (Uuid::now_v7(), self.owner.editor().expect("an owner"));
        let address = self.files().begin(&self.tenant, &editor, id, name, kind, size as i64).await;
        (id, address.expect("it is promised"))
    }

    async fn fetch(&self, id: Uuid) -> Result<SignedUrl, server::files::Error> {
        self.files().fetch(&self.tenant, self.owner.viewer(), id).await
    }

    fn lies(&self, id: Uuid, place: ObjectKind) -> bool {
        self.objects.join(tenant::files::key(&self.tenant, id, place)).is_file()
    }

    async fn count(&self) -> i64 {
        self.church.db().await.one("select count(*) from files").await
    }

    async fn member(&self) -> String {
        let page = self.church.browser.get("/members/new").await;
        let fields = [
            ("first_name", "Naomi"),
            ("last_name", "Achieng"),
            ("branch_id", &page.value("branch_id")),
            ("status_id", &page.attribute("#status_id option:nth-child(3)", "value").expect("a status")),
        ];
        self.church.browser.post("/members/new", &fields).await.location().to_owned()
    }

    async fn choose(&self, page: &str, bytes: Vec<u8>) -> Page {
        let part = multipart::Part::bytes(bytes).file_name("me.png").mime_str("image/png").expect("a type");
        let form = multipart::Form::new().part("photo", part);
        let send =
            |client: &reqwest::Client, base: &str| client.post(format!("{base}{page}")).multipart(form);
        self.church.browser.request(send).await
    }
}

async fn enter(server: &TestServer, church: &Church) -> (Tenant, Admin) {
    let installation = &server.running.installation;
    let id = church.tenant_id.parse().expect("an id");
    let tenant = installation.identity.open_as_operator(&installation.secret, &id).await.expect("it opens");
    let owner = admins::find_owner(&tenant).await.expect("there is one");
    let owner = admins::find_active(&tenant, owner).await.expect("it may enter");
    (tenant, owner)
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

async fn send(address: &SignedUrl, url: &str, kind: &str, bytes: &[u8]) -> StatusCode {
    let method: Method = address.method.parse().expect("a method");
    let request = client().request(method, url).header("content-type", kind).body(bytes.to_vec());
    request.send().await.expect("an answer").status()
}

pub fn png(width: u32, height: u32) -> Vec<u8> {
    // Red on the left, blue on the right.
    let paint = |x, _| if x < width / 2 { image::Rgb([255, 0, 0]) } else { image::Rgb([0, 0, 255]) };
    encoded(&RgbImage::from_fn(width, height, paint).into(), ImageFormat::Png)
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("it can be written");
    bytes.into_inner()
}

/// The checksum of a part of a PNG.
fn crc(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), bit))
}

/// Uploads, downloads, and whatever somebody might change about an address.
async fn goes_up_and_comes_down(office: &Office) {
    let text = "Léa, 1984\n".repeat(100);
    let (id, address) = office.spec("../../Mañana\r\n.csv", "text/csv", text.len()).await;
    let inside = format!("/{}/uploads/{id}?", office.church.tenant_id);
    assert!(address.url.contains(&inside), "below the tenant's id: {}", address.url);
    assert!(matches!(office.fetch(id).await, Err(server::files::Error::NotUploaded)));

    let other = address.url.replace(&office.church.tenant_id, &"x".repeat(24));
    let other_file = address.url.replace(&id.to_string(), &Uuid::now_v7().to_string());
    let broken = format!("{}0", &address.url[..address.url.len() - 1]);
    let broken =
        if broken == address.url { format!("{}1", &address.url[..address.url.len() - 1]) } else { broken };
    for wrong in [&other, &other_file, &broken] {
        assert_eq!(
            send(&address, wrong, "text/csv", text.as_bytes()).await,
            StatusCode::FORBIDDEN,
            "{wrong}"
        );
    }
    let fewer = send(&address, &address.url, "text/csv", &text.as_bytes()[1..]).await;
    let more = send(&address, &address.url, "text/csv", format!("{text}x").as_bytes()).await;
    let of_another_type = send(&address, &address.url, "text/html", text.as_bytes()).await;
    for refused in [fewer, more, of_another_type] {
        assert!(refused.is_client_error(), "{refused}");
    }
    assert!(!office.lies(id, ObjectKind::Upload), "nothing of that was kept");

    assert_eq!(send(&address, &address.url, "text/csv", text.as_bytes()).await, StatusCode::OK);
    let download = office.fetch(id).await.expect("it is there");
    let seconds = (download.expires_at - chrono::Utc::now()).num_seconds();
    assert!((200..=300).contains(&seconds), "five minutes, also in the bucket: {seconds}");
    if download.url.contains("X-Amz-Expires=") {
        assert!(download.url.contains("X-Amz-Expires=300&"), "{}", download.url);
        assert!(address.url.contains("X-Amz-Expires=300&"), "{}", address.url);
    }
    assert!(
        office.lies(id, ObjectKind::Stored) && !office.lies(id, ObjectKind::Upload),
        "out of reach of the address"
    );
    let answer = client().get(&download.url).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "text/csv");
    assert_eq!(header("content-disposition"), "attachment; filename*=UTF-8''Ma%C3%B1ana.csv");
    assert_eq!(answer.text().await.expect("text"), text);
    assert!(
        client().put(&download.url).body("x").send().await.expect("an answer").status().is_client_error()
    );

    // What is sent afterwards changes nothing of what was looked at.
    let later = "<script>".repeat(text.len() / 8 + 1);
    send(&address, &address.url, "text/csv", &later.as_bytes()[..text.len()]).await;
    let again = client().get(&download.url).send().await.expect("an answer");
    assert_eq!(again.text().await.expect("text"), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_up_and_comes_down_in_the_data_directory() {
    goes_up_and_comes_down(&Office::in_folder().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_up_and_comes_down_in_object_storage() {
    let s3 = S3::start().await;
    goes_up_and_comes_down(&Office::in_s3(&s3).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_addresses_say_what_is_wrong() {
    let office = Office::in_folder().await;
    let (_, address) = office.spec("a.txt", "text/plain", 5).await;
    let url = &address.url;
    assert_eq!(send(&address, url, "text/plain", b"12345678").await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send(&address, url, "text/html", b"12345").await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let chunked = reqwest::Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>("12345")]));
    let request = client().put(url).header("content-type", "text/plain").body(chunked);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::LENGTH_REQUIRED);
    for (from, to) in
        [("size=5", "size=8"), ("type=text%2Fplain", "type=text%2Fhtml"), ("expires=", "expires=9")]
    {
        let changed = url.replace(from, to);
        assert_ne!(&changed, url);
        assert_eq!(send(&address, &changed, "text/plain", b"12345").await, StatusCode::FORBIDDEN, "{to}");
    }
    for outside in ["../secret.key", "..%2Fsecret.key", "%2e%2e/secret.key"] {
        let status = client().get(format!("http://{}/files/{outside}", office.server.addr())).send().await;
        assert!(status.expect("an answer").status().is_client_error(), "{outside}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_was_promised_is_deleted() {
    let office = Office::in_folder().await;
    let page = b"<!doctype html><script>alert(1)</script>";
    for kind in ["image/png", "application/pdf", "text/plain"] {
        let (id, address) = office.spec("a", kind, page.len()).await;
        assert_eq!(send(&address, &address.url, kind, page).await, StatusCode::OK);
        let refused = office.fetch(id).await.expect_err("it does not fit");
        assert!(matches!(refused, server::files::Error::Refused { field: "contentType", .. }), "{refused}");
        assert!(!office.lies(id, ObjectKind::Stored));
        let gone = office.fetch(id).await.expect_err("it is gone");
        assert!(matches!(gone, server::files::Error::Tenant(tenant::Error::NotFound)), "{gone}");
    }
    assert_eq!(office.count().await, 0);
    let editor = office.owner.editor().expect("an owner");
    for (name, kind, size, field) in [
        ("a.html", "text/html", 1, "contentType"),
        ("a.svg", "image/svg+xml", 1, "contentType"),
        ("a.png", "image/png", 0, "size"),
        ("a.png", "image/png", 20 * 1024 * 1024 + 1, "size"),
        ("../", "image/png", 1, "name"),
    ] {
        let refused = office.files().begin(&office.tenant, &editor, Uuid::now_v7(), name, kind, size).await;
        let refused = refused.expect_err("it is refused").to_string();
        assert!(refused.starts_with(field), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_gets_no_file_of_another() {
    let office = Office::in_folder().await;
    let (id, address) = office.spec("a.txt", "text/plain", 5).await;
    assert_eq!(send(&address, &address.url, "text/plain", b"12345").await, StatusCode::OK);
    let theirs = Church::open(&office.server, "Hope Church").await;
    let (tenant, owner) = enter(&office.server, &theirs).await;
    let refused = office.files().fetch(&tenant, owner.viewer(), id).await.expect_err("there is none");
    assert!(matches!(refused, server::files::Error::Tenant(tenant::Error::NotFound)), "{refused}");
    let refused = office.files().fetch(&office.tenant, owner.viewer(), id).await.expect_err("no authority");
    assert!(matches!(refused, server::files::Error::Tenant(tenant::Error::Forbidden)), "{refused}");
    assert_eq!(theirs.db().await.one::<i64>("select count(*) from files").await, 0);

    let at = office.member().await;
    office.choose(&format!("{at}/photo"), png(60, 60)).await.location();
    theirs.browser.get(&format!("{at}/photo")).await.expect(404);
    theirs.browser.get(&format!("{at}/photo.jpg")).await.expect(404);
    theirs.browser.post(&format!("{at}/photo"), &[("remove", "1")]).await.expect(404);
    office.server.browser().get(&format!("{at}/photo.jpg")).await.expect(404);
    let photos = "select count(*) from members where photo_id is not null";
    assert_eq!(office.church.db().await.one::<i64>(photos).await, 1);
    let helper = office.church.hire(&office.server, "viewer", "helper@example.org", None).await;
    assert_eq!(helper.stream(&format!("{at}/photo.jpg")).await.status(), StatusCode::OK);
    helper.post(&format!("{at}/photo"), &[("remove", "1")]).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_never_came_are_swept_and_those_nobody_asked_for_are_kept() {
    let office = Office::in_folder().await;
    let (never, _) = office.spec("a.txt", "text/plain", 5).await;
    let (came, address) = office.spec("b.txt", "text/plain", 5).await;
    send(&address, &address.url, "text/plain", b"12345").await;
    let (wrong, address) = office.spec("c.png", "image/png", 5).await;
    send(&address, &address.url, "image/png", b"12345").await;
    let mut registry = office.server.db().await;
    assert_eq!(registry.one::<i64>("select count(*) from uploads").await, 3);
    registry.run("update uploads set due_at = now()").await;
    let tomorrow = "select count(*) = 1 and min(due_at) > now() + interval '23 hours' from uploads";
    registry.until(tomorrow).await;
    let rows = "select string_agg(name || ' ' || (stored_at is not null), ',') from files";
    assert_eq!(office.church.db().await.one::<String>(rows).await, "b.txt true");
    assert!(office.lies(came, ObjectKind::Stored) && !office.lies(came, ObjectKind::Upload));
    for gone in [never, wrong] {
        assert!(!office.lies(gone, ObjectKind::Upload) && !office.lies(gone, ObjectKind::Stored));
    }
    office.fetch(came).await.expect("it is there");

    // Whatever has become nobody's picture within a day ends then; a picture stays.
    let at = office.member().await;
    office.choose(&format!("{at}/photo"), png(60, 60)).await.location();
    let photo: Uuid = office.church.db().await.one("select photo_id from members").await;
    office.church.db().await.run("update files set created_at = now() - interval '25 hours'").await;
    registry.run("update uploads set due_at = now()").await;
    registry.until("select not exists (select from uploads)").await;
    let gone = office.fetch(came).await.expect_err("it has ended");
    assert!(matches!(gone, server::files::Error::Tenant(tenant::Error::NotFound)), "{gone}");
    assert!(!office.lies(came, ObjectKind::Stored));
    assert!(office.lies(photo, ObjectKind::Stored) && office.lies(photo, ObjectKind::Thumbnail));
    assert_eq!(office.church.db().await.one::<Uuid>("select id from files").await, photo);
}

async fn has_a_photo(office: &Office) {
    let browser = &office.church.browser;
    let at = office.member().await;
    let page = browser.get(&at).await.expect(200);
    assert!(page.attribute(".avatar.large img", "src").is_none());
    browser.get(&format!("{at}/photo.jpg")).await.expect(404);

    let form = browser.get(&format!("{at}/photo")).await.expect(200);
    assert_eq!(form.attribute("form[enctype]", "enctype").as_deref(), Some("multipart/form-data"));
    assert_eq!(office.choose(&format!("{at}/photo"), png(1200, 600)).await.location(), at);
    let page = browser.get(&at).await.expect(200);
    assert_eq!(page.text(".notice strong"), "The picture is saved.");
    let address = page.attribute(".titled .avatar img", "src").expect("a picture");
    let answer = browser.stream(&address).await;
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let tag = answer.headers()["etag"].to_str().expect("text").to_owned();
    let picture = image::load_from_memory(&answer.bytes().await.expect("bytes")).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (512, 512), "the middle, as a square");
    let known = |client: &reqwest::Client, base: &str| {
        client.get(format!("{base}{address}")).header("if-none-match", &tag)
    };
    browser.request(known).await.expect(304);

    let list = browser.get("/members").await.expect(200);
    let small = list.attribute("tbody .avatar img", "src").expect("a small one");
    let small = browser.stream(&small).await.bytes().await.expect("bytes");
    assert_eq!(image::load_from_memory(&small).expect("a picture").width(), 96);

    // Another one takes its place, and the first one is looked after.
    let first: Uuid = office.church.db().await.one("select photo_id from members").await;
    office.choose(&format!("{at}/photo"), png(60, 60)).await.location();
    browser.post(&format!("{at}/photo"), &[("remove", "1")]).await.location();
    assert!(browser.get(&at).await.attribute(".titled .avatar img", "src").is_none());
    assert_eq!(office.count().await, 0);
    assert!(office.lies(first, ObjectKind::Stored));
    let mut registry = office.server.db().await;
    registry.run("update uploads set due_at = now()").await;
    registry.until("select not exists (select from uploads)").await;
    assert!(!office.lies(first, ObjectKind::Stored) && !office.lies(first, ObjectKind::Thumbnail));
    let log = "select string_agg(action, ', ' order by at) from audit_log where entity = 'member'";
    assert_eq!(
        office.church.db().await.one::<String>(log).await,
        "added, picture set, picture set, picture removed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_has_a_photo_in_the_data_directory() {
    has_a_photo(&Office::in_folder().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_has_a_photo_in_object_storage() {
    let s3 = S3::start().await;
    has_a_photo(&Office::in_s3(&s3).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_has_a_picture() {
    let office = Office::in_folder().await;
    let id: Uuid = office.church.db().await.one("select id from branches").await;
    let at = format!("/branches/{id}");
    assert_eq!(office.choose(&format!("{at}/picture"), png(60, 60)).await.location(), at);
    let page = office.church.browser.get(&at).await.expect(200);
    let address = page.attribute(".titled .avatar img", "src").expect("a picture");
    assert_eq!(office.church.browser.stream(&address).await.status(), StatusCode::OK);
    let helper = office.church.hire(&office.server, "admin", "helper@example.org", Some("Main church")).await;
    helper.post(&format!("{at}/picture"), &[("remove", "1")]).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_picture_is_said_at_its_field() {
    let office = Office::in_folder().await;
    let page = format!("{}/photo", office.member().await);
    let huge = RgbImage::new(30_001, 10).into();
    for (bytes, why) in [
        (Vec::new(), "Choose a picture first."),
        (b"<svg/>".to_vec(), "This is not a picture we can read. Choose a JPEG, PNG or WebP file."),
        (png(60, 60)[..60].to_vec(), "This is not a picture we can read. Choose a JPEG, PNG or WebP file."),
        (
            encoded(&huge, ImageFormat::Png),
            "The picture has more pixels or colours than we can prepare (at most 40 megapixels). Make it smaller, or choose another one.",
        ),
        (
            vec![0; 10 * 1024 * 1024 + 1],
            "The picture has more than 10 MB. Make it smaller, or choose another one.",
        ),
    ] {
        assert_eq!(office.choose(&page, bytes).await.expect(422).why("photo"), why);
    }
    // A header alone promises more than there is memory for.
    let mut bomb = png(60, 60);
    // 6,400 by 6,400 are more than 40 megapixels.
    bomb[16..24].copy_from_slice(&[0, 0, 0x19, 0, 0, 0, 0x19, 0]);
    let sum = crc(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&sum);
    let why = office.choose(&page, bomb).await.expect(422).why("photo");
    assert_eq!(
        why,
        "The picture has more pixels or colours than we can prepare (at most 40 megapixels). Make it smaller, or choose another one."
    );
    assert_eq!(office.count().await, 0);
    assert_eq!(office.server.db().await.one::<i64>("select count(*) from uploads").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_stands_upright_and_tells_nothing_of_where_it_was_taken() {
    let office = Office::in_folder().await;
    let at = office.member().await;
    // A camera that was held upright says so in Exif: turn it by 90 degrees (6).
    let plain = encoded(&image::load_from_memory(&png(80, 80)).expect("a picture"), ImageFormat::Jpeg);
    let exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let turned = [&plain[..2], exif, &plain[2..]].concat();
    office.choose(&format!("{at}/photo"), turned).await.location();
    let bytes = office.church.browser.stream(&format!("{at}/photo.jpg")).await.bytes().await.expect("bytes");
    assert!(!bytes.windows(4).any(|four| four == b"Exif"));
    let picture = image::load_from_memory(&bytes).expect("a picture").into_rgb8();
    let (above, below) = (picture.get_pixel(40, 10), picture.get_pixel(40, 70));
    assert!(above[0] > 200 && above[2] < 60, "what was left is above: {above:?}");
    assert!(below[2] > 200 && below[0] < 60, "what was right is below: {below:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_object_storage_is_away_pages_are_shown_without_pictures() {
    let s3 = S3::start().await;
    let office = Office::in_s3(&s3).await;
    let at = office.member().await;
    office.choose(&format!("{at}/photo"), png(60, 60)).await.location();
    s3.serving.abort();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let browser = &office.church.browser;
    assert_eq!(browser.get(&at).await.expect(200).text("h1"), "Naomi Achieng");
    browser.get("/members").await.expect(200);
    let page = office.choose(&format!("{at}/photo"), png(60, 60)).await.expect(503);
    assert!(page.why("photo").starts_with("The picture could not be kept just now."), "{}", page.words());
    browser.get(&format!("{at}/photo.jpg")).await.expect(503);
    assert!(Path::new(&office.objects).is_dir());
}
