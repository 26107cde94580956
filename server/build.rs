//! The binary carries what cargo-leptos has put into target/site: made anew when that changes. Where
//! nothing was built yet, as in tests, the folder is empty.

fn main() {
    let site = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/site");
    std::fs::create_dir_all(&site).expect("target/site can be made");
    println!("cargo:rerun-if-changed={}", site.display());
}
