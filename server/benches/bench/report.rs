use serde::Serialize;
use std::{path::Path, time::Duration};

#[derive(Default)]
pub struct Report(Vec<Figure>);

/// One line: a figure, the floor measured beside it, and what their ratio should be.
#[derive(Serialize)]
pub struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    floor: f64,
    ratio: f64,
    aim: f64,
    met: bool,
}

impl Report {
    /// A time that should be at most `aim` times its floor.
    pub fn at_most(&mut self, name: &'static str, value: Duration, floor: Duration, aim: f64) {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let ratio = ms(value) / ms(floor);
        self.add(Figure {
            name,
            value: ms(value),
            unit: "ms",
            floor: ms(floor),
            ratio,
            aim,
            met: ratio <= aim,
        });
    }

    fn add(&mut self, figure: Figure) {
        if self.0.is_empty() {
            println!("{:<18} {:>10} {:>10} {:>7} {:>7}", "figure", "value", "floor", "ratio", "aim");
        }
        let Figure { name, value, unit, floor, ratio, aim, met } = &figure;
        let sign = if *met { "" } else { "  missed" };
        println!("{name:<18} {value:>7.1} {unit} {floor:>7.1} {unit} {ratio:>6.2}× {aim:>6.2}×{sign}");
        self.0.push(figure);
    }

    pub fn finish(self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench.json");
        let json = serde_json::to_string_pretty(&self.0).expect("figures are JSON");
        std::fs::write(&path, json + "\n").expect("target/ can be written");
        println!("written to target/bench.json");
    }
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
