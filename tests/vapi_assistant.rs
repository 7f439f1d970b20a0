//! `pronto vapi assistant`: what it prints, held against Vapi's own schema.
#![cfg(feature = "daemon")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails loudly, and watches the real clock")]
#![allow(clippy::print_stdout, reason = "a test that checks nothing must say so")]

mod daemon_process;

use std::{fs, path::Path, process::Output};

use daemon_process::{EXAMPLE, Place, pronto};
use serde_json::Value;

const URL: &str = "https://voice.example.it";

fn assistant(place: &Place, more: &[&str]) -> Output {
    let config = place.config();
    let mut command = pronto();
    command.args(["vapi", "assistant", "--config"]).arg(config).args(more);
    command.output().unwrap()
}

fn printed(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Vapi's published schema, where it is: it is not ours to keep here.
fn validator() -> Option<jsonschema::Validator> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/protocols/vapi-schemas.json");
    let path = std::env::var_os("PRONTO_VAPI_SCHEMAS").map_or(beside, Into::into);
    let Ok(text) = fs::read_to_string(&path) else {
        println!("vapi-schemas.json is not here: assistants are not held against it");
        return None;
    };
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    schema["$ref"] = "#/$defs/CreateAssistantDTO".into();
    Some(jsonschema::validator_for(&schema).unwrap())
}

#[test]
fn what_is_printed_is_an_assistant_by_vapis_own_schema() {
    let place = Place::new("assistant-schema", EXAMPLE);
    let english =
        EXAMPLE.replace("id = \"officina-rossi\"", "id = \"garage\"").replace("language = \"it\"", "language = \"en\"");
    place.write("tenants/garage.toml", &english);
    let validator = validator();
    for tenant in ["officina-rossi", "garage"] {
        for only in ["brain,hands,ears,mouth", "brain", "hands", "ears", "mouth", "hands,mouth"] {
            let arguments = ["--tenant", tenant, "--public-url", URL, "--credential-id", "cred-1", "--only", only];
            let output = assistant(&place, &arguments);
            let json = printed(&output);
            assert_eq!(json["transcriber"].is_object(), only.contains("ears"), "{only}");
            assert_eq!(json["voice"].is_object(), only.contains("mouth"), "{only}");
            assert_eq!(json["model"]["provider"] == "custom-llm", only.contains("brain"), "{only}");
            if let Some(validator) = &validator {
                let wrong: Vec<_> =
                    validator.iter_errors(&json).map(|it| format!("{}: {it}", it.instance_path())).collect();
                assert!(wrong.is_empty(), "{tenant} {only}: {wrong:#?}");
            }
        }
    }
}

#[test]
fn a_secret_is_never_printed_and_a_missing_credential_is_explained() {
    let place = Place::new("assistant-secret", EXAMPLE);
    let output = assistant(&place, &["--public-url", URL]);
    let json = printed(&output);
    assert_eq!(json["server"]["credentialId"], "CREDENTIAL-ID");
    assert!(said(&output).contains("--credential-id") && said(&output).contains("CREDENTIAL-ID"));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("officina-rossi-demo-token"));
    let output = assistant(&place, &["--public-url", URL, "--credential-id", "cred-1"]);
    assert_eq!(printed(&output)["voice"]["server"]["credentialId"], "cred-1");
    assert!(said(&output).is_empty(), "nothing to explain: {}", said(&output));
}

#[test]
fn what_is_missing_or_wrong_is_told() {
    let place = Place::new("assistant-wrong", EXAMPLE);
    let check = |arguments: &[&str], expected: &str| {
        let output = assistant(&place, arguments);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    };
    check(&[], "--public-url");
    check(&["--public-url", "http://x.it"], "https://");
    check(&["--public-url", URL, "--only", "nose"], "brain, hands, ears, mouth");
    check(&["--public-url", URL, "--tenant", "bianchi"], "officina-rossi");
    place.write("tenants/b.toml", &EXAMPLE.replace("id = \"officina-rossi\"", "id = \"bianchi\""));
    check(&["--public-url", URL], "--tenant");
    place.write("tenants/b.toml", "id = \"bianchi\"\n");
    check(&["--public-url", URL, "--tenant", "bianchi"], "b.toml");
}
