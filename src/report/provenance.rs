//! Where a tree comes from: a statement of all that it was made from, and the same for people. Both
//! follow from the lock alone. Sources: in-toto attestation framework, "Statement" v1; SLSA, "Build:
//! Provenance" v1; DSSE v1, "Protocol" (the envelope and what is signed).

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::lockfile::{LockedTree, Lockfile};
use crate::model::{Format, Input, StoreName};
use crate::nix::keys::{CacheKey, CacheSignature, SigningKey};

/// The type of what an envelope holds.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The type of the predicate.
const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// The name of the way in which trees are made: what its parameters mean stands in the documentation of the lock.
const BUILD_TYPE: &str = "urn:cotter:build:1";

/// Returns a tree and all trees of the lock with which it was made, the latter first.
pub fn origins<'l>(lock: &'l Lockfile, tree: &'l LockedTree) -> Vec<&'l LockedTree> {
    let (mut out, mut known) = (vec![], BTreeSet::new());
    add(lock, tree, &mut known, &mut out);
    out
}

fn add<'l>(
    lock: &'l Lockfile,
    tree: &'l LockedTree,
    known: &mut BTreeSet<&'l StoreName>,
    out: &mut Vec<&'l LockedTree>,
) {
    if !known.insert(&tree.output.store_name) {
        return;
    }
    for name in &tree.plan.uses.make {
        if let Some(used) = lock.get(name, tree.plan.platform) {
            add(lock, used, known, out);
        }
    }
    out.push(tree);
}

/// Returns the statement of a tree: it and its hash, how it was made, and everything that took part,
/// down to each file that was fetched.
pub fn statement(lock: &Lockfile, tree: &LockedTree) -> Value {
    let (plan, output) = (&tree.plan, &tree.output);
    let all = origins(lock, tree);
    let mut materials: Vec<Value> = vec![];
    let mut known = BTreeSet::new();
    for used in all.iter().filter(|used| used.output != *output) {
        materials.push(json!({
            "name": used.plan.label(),
            "uri": format!("nix-store:{}", used.output.store_name),
            "digest": { "sha256": used.output.nar_hash.hex() },
        }));
    }
    for input in all.iter().flat_map(|used| &used.plan.inputs) {
        if known.insert(input.sha256) {
            materials.push(material(input));
        }
    }
    let mut parameters = json!({
        "toolchain": plan.name.as_str(),
        "platform": plan.platform.as_str(),
        "source": plan.source,
        "version": plan.version,
        "recipe": plan.recipe.to_string(),
    });
    if let Some(building) = &plan.building {
        parameters["build"] = json!({
            "recipe": building.recipe,
            "steps": building.steps,
            "env": building.env,
            "with": building.with.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
            "libraries": building.libraries.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        });
    }
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": output.store_name.as_str(),
            "digest": { "sha256": output.nar_hash.hex() },
        }],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": {
                    "digest": "SHA-256 of the NAR of a tree, SHA-256 of the bytes of a file",
                    "sandbox": plan.building.is_some(),
                },
                "resolvedDependencies": materials,
            },
            "runDetails": {
                "builder": {
                    "id": format!("urn:cotter:program:{}", env!("CARGO_PKG_VERSION")),
                    "version": { "cotter": env!("CARGO_PKG_VERSION") },
                },
            },
        },
    })
}

fn material(input: &Input) -> Value {
    let uri = input.locations.first().map(|location| crate::model::redact(&location.to_string()));
    let mut out = json!({
        "name": format!("{} {}", input.component.name, input.component.version),
        "digest": { "sha256": input.sha256.hex() },
    });
    if let Some(uri) = uri {
        out["uri"] = json!(uri);
    }
    if let Some(built) = &input.built {
        out["annotations"] =
            json!({ "built": { "name": built.file, "sha256": built.sha256.hex() } });
    }
    out
}

/// Returns a signed statement.
pub fn envelope(statement: &Value, key: &SigningKey) -> Value {
    let payload = statement.to_string();
    let signature = key.sign(&signed_text(payload.as_bytes()));
    let text = signature.to_string();
    json!({
        "payloadType": PAYLOAD_TYPE,
        "payload": STANDARD.encode(&payload),
        "signatures": [{
            "keyid": key.public().name(),
            "sig": text.split_once(':').map_or("", |(_, signature)| signature),
        }],
    })
}

/// Returns the statement in a text: one that is not signed, or one in an envelope that one of `keys`
/// has signed, with the name of that key.
///
/// # Errors
/// A sentence, if it is none, or if nobody who is trusted has signed it.
pub fn opened(text: &str, keys: &[CacheKey]) -> Result<(Value, String), String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("it is no JSON: {e}"))?;
    let Some(payload) = value["payload"].as_str() else {
        return Err("it is not signed".to_owned());
    };
    if value["payloadType"] != PAYLOAD_TYPE {
        return Err(format!(
            "expected the payload type {PAYLOAD_TYPE:?}, got {}",
            value["payloadType"]
        ));
    }
    let payload = STANDARD.decode(payload).map_err(|e| format!("its payload is no base64: {e}"))?;
    let signed = signed_text(&payload);
    let signatures = value["signatures"].as_array().map_or(&[][..], Vec::as_slice);
    let signer = signatures.iter().find_map(|signature| {
        let text = format!("{}:{}", signature["keyid"].as_str()?, signature["sig"].as_str()?);
        let signature: CacheSignature = text.parse().ok()?;
        keys.iter().find(|key| key.verifies(&signed, &signature))
    });
    let Some(signer) = signer else {
        let names: Vec<&str> = signatures.iter().filter_map(|s| s["keyid"].as_str()).collect();
        let expected: Vec<&str> = keys.iter().map(CacheKey::name).collect();
        return Err(format!(
            "expected a valid signature of {}, got {}",
            expected.join(" or "),
            if names.is_empty() {
                "none".to_owned()
            } else {
                format!("one of {}", names.join(", "))
            }
        ));
    };
    let statement =
        serde_json::from_slice(&payload).map_err(|e| format!("its payload is no JSON: {e}"))?;
    Ok((statement, signer.name().to_owned()))
}

/// Returns the bytes that an envelope's signature covers (`PAE` of DSSE).
fn signed_text(payload: &[u8]) -> Vec<u8> {
    let mut out =
        format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    out.extend(payload);
    out
}

/// How the trees that took part in a tree came about, in numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The trees that were composed out of files that others had built.
    pub composed: usize,
    /// The trees whose files were built from source here, with trees of the lock.
    pub built: usize,
    /// The files of which a signature tells who made them: Debian packages and paths of Nix.
    pub signed: usize,
    /// The other files that others had built: only the hash in the lock vouches for them.
    pub trusted: usize,
    /// The archives of source code and patches.
    pub sources: usize,
}

impl Census {
    /// Counts what took part in a tree.
    pub fn of(lock: &Lockfile, tree: &LockedTree) -> Census {
        let (mut out, mut known) = (Census::default(), BTreeSet::new());
        for tree in origins(lock, tree) {
            match &tree.plan.building {
                Some(_) => out.built += 1,
                None => out.composed += 1,
            }
            for input in &tree.plan.inputs {
                if !known.insert(input.sha256) {
                    continue;
                }
                let by_nix = input.nix.as_ref().is_some_and(|nix| nix.signature.is_some());
                let by_debian = input.format == Format::Deb && !tree.plan.releases.is_empty();
                match input.format {
                    Format::Source | Format::Patch | Format::Sdist => out.sources += 1,
                    _ if by_nix || by_debian => out.signed += 1,
                    _ => out.trusted += 1,
                }
            }
        }
        out
    }
}

/// Returns the chain from a tree back to its sources, for people.
pub fn told(lock: &Lockfile, tree: &LockedTree) -> String {
    let mut out = String::new();
    for tree in origins(lock, tree).iter().rev() {
        let plan = &tree.plan;
        out.push_str(&format!("{} {}\n", plan.label(), plan.version));
        let mut packages: BTreeMap<&str, usize> = BTreeMap::new();
        for input in &plan.inputs {
            let name = input.file_name();
            match input.format {
                Format::Source => {
                    out.push_str(&format!(
                        "  is built from {name}, sha256 {}\n",
                        input.sha256.hex()
                    ));
                }
                Format::Patch => out.push_str(&format!("  with the patch {name}\n")),
                format => *packages.entry(format.as_str()).or_default() += 1,
            }
        }
        if let Some(building) = &plan.building {
            let how = building.recipe.as_ref().map_or_else(
                || format!("{} steps of the manifest", building.steps.len()),
                |recipe| format!("the recipe {recipe}"),
            );
            let with: Vec<&str> = building.toolchains().map(|name| name.as_str()).collect();
            out.push_str(&format!("  by {how}, with {}\n", with.join(", ")));
        }
        for (format, number) in packages {
            let verb = if plan.building.is_some() { "has beside it" } else { "is composed of" };
            out.push_str(&format!("  {verb} {number} files of the format {format}\n"));
        }
        for release in &plan.releases {
            out.push_str(&format!(
                "  whose hashes {} {} of {} has, signed by {}\n",
                release.archive, release.suite, release.date, release.key
            ));
        }
    }
    let Census { composed, built, signed, trusted, sources } = Census::of(lock, tree);
    out.push_str(&format!(
        "in all: {built} built, {composed} composed; {sources} sources, {signed} files with a signature, {trusted} for which only the lock vouches\n"
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_that_of_the_specification() {
        // The example of DSSE's protocol, with its own type and payload.
        let expected = b"DSSEv1 28 application/vnd.in-toto+json 2 {}";
        assert_eq!(signed_text(b"{}"), expected);
    }

    #[test]
    fn an_envelope_is_opened_by_its_key_alone() {
        let (key, _) = SigningKey::of_seed("a-1", &[7; 32]).unwrap();
        let (other, _) = SigningKey::of_seed("a-1", &[8; 32]).unwrap();
        let statement = json!({ "x": 1 });
        let mut signed = envelope(&statement, &key);
        let text = signed.to_string();
        assert_eq!(opened(&text, &[key.public()]), Ok((statement, "a-1".to_owned())));
        assert!(opened(&text, &[other.public()]).unwrap_err().contains("a-1"));
        assert!(opened("{}", &[key.public()]).unwrap_err().contains("not signed"));
        signed["payload"] = json!(STANDARD.encode("{\"x\":2}"));
        assert!(opened(&signed.to_string(), &[key.public()]).is_err());
    }

    #[test]
    fn a_statement_names_every_file() {
        let text = include_str!("../../examples/libraries/toolchains.lock");
        let lock = Lockfile::parse(text, "lock").unwrap();
        let tree = lock.trees.values().next().unwrap();
        let statement = statement(&lock, tree);
        let materials = &statement["predicate"]["buildDefinition"]["resolvedDependencies"];
        assert_eq!(materials.as_array().unwrap().len(), tree.plan.inputs.len());
        assert_eq!(statement["subject"][0]["digest"]["sha256"], json!(tree.output.nar_hash.hex()));
        let census = Census::of(&lock, tree);
        assert_eq!((census.composed, census.built, census.trusted), (1, 0, 0));
        assert_eq!(census.signed, tree.plan.inputs.len());
    }
}
