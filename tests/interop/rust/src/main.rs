// Asks Arm's verifier of CCA tokens (ccatoken, of the Veraison project) about tokens, one JSON object a line.
//
// In:  {"evidence": hex, "key": the platform's key, a JWK as text}.
// Out: {"accepted": bool, "word": string, "crashed": bool, "realm": number}; "realm": what its trust vector says of the
//      realm's executables and so on, worst first; 99: cryptographic validation failed.

use ccatoken::store::Cpak;
use ccatoken::token::Evidence;
use serde_json::{json, value::RawValue, Value};
use std::io::{self, BufRead};
use std::panic;

fn judge(line: &str) -> Result<i64, String> {
    let question: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let text = |name: &str| question[name].as_str().unwrap_or_default().to_string();
    let raw = hex::decode(text("evidence")).map_err(|e| e.to_string())?;
    let mut evidence = Evidence::decode(&raw).map_err(|e| e.to_string())?;
    let mut cpak = Cpak::new();
    cpak.raw_pkey = RawValue::from_string(text("key")).map_err(|e| e.to_string())?;
    cpak.parse_pkey().map_err(|e| e.to_string())?;
    evidence.verify_with_cpak(cpak).map_err(|e| e.to_string())?;
    let said = format!("{:?}", evidence.get_trust_vectors().1);
    Ok(if said.contains("value: Some(99)") { 99 } else { 0 })
}

fn main() {
    panic::set_hook(Box::new(|_| {}));
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let answer = match panic::catch_unwind(|| judge(&line)) {
            Ok(Ok(realm)) => json!({"accepted": true, "word": "", "crashed": false, "realm": realm}),
            Ok(Err(word)) => json!({"accepted": false, "word": word, "crashed": false, "realm": 0}),
            Err(_) => json!({"accepted": false, "word": "panic", "crashed": true, "realm": 0}),
        };
        println!("{answer}");
    }
}
