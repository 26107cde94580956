use serde::Serialize;
use std::{path::Path, time::Duration};

#[derive(Default)]
pub struct Report(Vec<Figure>);

/// One line: a figure, the floor measured beside it, and what their ratio should be; or a figure that
/// has no floor, and what it should be itself.
#[derive(Serialize)]
pub struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    floor: Option<f64>,
    ratio: Option<f64>,
    aim: String,
    met: bool,
}

impl Report {
    /// A time that should be at most `aim` times its floor.
    pub fn at_most(&mut self, name: &'static str, value: Duration, floor: Duration, aim: f64) {
        let ratio = ms(value) / ms(floor);
        self.compared(name, "ms", (ms(value), ms(floor)), (ratio <= aim, format!("≤ {aim}×")));
    }

    /// A rate that should be at least `aim` times its floor. Of several rounds, each with a rate and its floor, the one
    /// whose ratio is in the middle counts: what disturbs a round disturbs both.
    pub fn at_least(&mut self, name: &'static str, mut rounds: Vec<(f64, f64)>, aim: f64) {
        rounds.sort_by(|(a, b), (c, d)| f64::total_cmp(&(a / b), &(c / d)));
        let (value, floor) = rounds[rounds.len() / 2];
        self.compared(name, "/s", (value, floor), (value / floor >= aim, format!("≥ {aim}×")));
    }

    /// A figure by itself, which should be at most `aim`.
    pub fn alone(&mut self, name: &'static str, value: f64, unit: &'static str, aim: f64) {
        let (aim, met) = (format!("≤ {aim} {unit}"), value <= aim);
        self.add(Figure { name, value, unit, floor: None, ratio: None, aim, met });
    }

    fn compared(
        &mut self,
        name: &'static str,
        unit: &'static str,
        (value, floor): (f64, f64),
        (met, aim): (bool, String),
    ) {
        let ratio = Some(value / floor);
        self.add(Figure { name, value, unit, floor: Some(floor), ratio, aim, met });
    }

    fn add(&mut self, figure: Figure) {
        if self.0.is_empty() {
            println!("{:<26} {:>13} {:>13} {:>7}  aim", "figure", "value", "floor", "ratio");
        }
        let Figure { name, value, unit, floor, ratio, aim, met } = &figure;
        let floor = floor.map(|floor| format!("{floor:.1} {unit}")).unwrap_or_default();
        let ratio = ratio.map(|ratio| format!("{ratio:.2}×")).unwrap_or_default();
        let sign = if *met { "" } else { "  missed" };
        println!("{name:<26} {:>13} {floor:>13} {ratio:>7}  {aim}{sign}", format!("{value:.1} {unit}"));
        self.0.push(figure);
    }

    pub fn finish(self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench.json");
        let json = serde_json::to_string_pretty(&self.0).expect("figures are JSON");
        std::fs::write(&path, json + "\n").expect("target/ can be written");
        println!("written to target/bench.json");
    }
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The middle one.
pub fn median(times: Vec<Duration>) -> Duration {
    percentile(times, 50)
}

pub fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
