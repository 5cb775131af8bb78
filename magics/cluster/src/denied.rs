//! What one may not see, and the rule to ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

/// A request that the cluster refused for want of a right (RBAC).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// What was to be done: `list`, `create`, …
    pub verb: String,
    /// API group; empty for the core.
    pub group: String,
    /// Plural name, such as `pods` or `pods/log`.
    pub resource: String,
    /// Namespace; `None` for the whole cluster.
    pub namespace: Option<String>,
    /// What the server said, with the name of who asked.
    pub said: String,
}

impl Denied {
    /// The rule of a Role or `ClusterRole` that would allow it, as one line of YAML.
    pub fn rule(&self) -> String {
        format!(
            "{{apiGroups: [\"{}\"], resources: [\"{}\"], verbs: [\"{}\"]}}",
            self.group, self.resource, self.verb
        )
    }

    /// Whether it is for want of a right that something was refused with these words; the same status is that of a quota,
    /// of pod security and of other rules.
    pub(crate) fn is_told_by(said: &str) -> bool {
        said.split_once("User \"")
            .is_some_and(|(_, rest)| rest.contains("\" cannot "))
    }

    /// The right that is missing, as the server names it; `None` where it says so in other words.
    pub(crate) fn said(said: &str) -> Option<Denied> {
        let (_, rest) = said.split_once("User \"")?;
        let (_, rest) = rest.split_once("\" cannot ")?;
        let (verb, rest) = rest.split_once(" resource \"")?;
        let (resource, rest) = rest.split_once("\" in API group \"")?;
        let (group, rest) = rest.split_once('"')?;
        let namespace = rest.strip_prefix(" in the namespace \"");
        let namespace = namespace.and_then(|rest| rest.split_once('"'));
        Some(Denied {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(|(name, _)| name.to_owned()),
            said: said.to_owned(),
        })
    }

    /// Who asked, as the server calls it; such as `system:serviceaccount:anna:default-editor`.
    fn who(&self) -> Option<&str> {
        let (_, rest) = self.said.split_once("User \"")?;
        rest.split_once('"').map(|(who, _)| who)
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "may not {} `{}`", self.verb, self.resource)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace `{namespace}`"),
            None => write!(f, " of the whole cluster"),
        }
    }
}

/// What rights are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Showing what a cluster has.
    View,
    /// Applying manifests.
    Apply,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Purpose::View => "view",
            Purpose::Apply => "apply",
        }
    }
}

/// A role with its binding that would allow all of `denied`, as YAML to be applied by an administrator; `None` when
/// nothing was denied.
///
/// A right on the whole cluster includes that on a namespace, hence only one of the two is asked for.
pub fn role_to_ask_for(denied: &[Denied], purpose: Purpose) -> Option<String> {
    let who = denied.iter().find_map(Denied::who)?;
    let name = role_name(who, purpose);
    let wide: Vec<&Denied> = denied
        .iter()
        .filter(|one| one.namespace.is_none())
        .collect();
    let covered = |one: &Denied| {
        wide.iter().any(|wide| {
            wide.group == one.group && wide.resource == one.resource && wide.verb == one.verb
        })
    };
    let mut narrow: BTreeMap<&str, Vec<&Denied>> = BTreeMap::new();
    for one in denied.iter().filter(|one| !covered(one)) {
        if let Some(namespace) = one.namespace.as_deref() {
            narrow.entry(namespace).or_default().push(one);
        }
    }
    let mut parts: Vec<String> = Vec::new();
    if !wide.is_empty() {
        parts.push(role(None, &wide, who, &name));
    }
    parts.extend(
        narrow
            .iter()
            .map(|(namespace, rules)| role(Some(namespace), rules, who, &name)),
    );
    Some(parts.join("---\n"))
}

/// The first part of the name of a role and of its binding, by whom they are for and what for.
fn role_name(who: &str, purpose: Purpose) -> String {
    let who = who.rsplit(':').take(2).collect::<Vec<_>>().join("-");
    format!("mlk8s-{}-{who}", purpose.word())
        .to_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-")
}

/// A number for `rules` (FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>), the same on every machine.
fn number_of(rules: &str) -> u32 {
    rules.bytes().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

fn role(namespace: Option<&str>, denied: &[&Denied], who: &str, name: &str) -> String {
    let (kind, place) = match namespace {
        Some(namespace) => ("Role", format!(", namespace: {namespace}")),
        None => ("ClusterRole", String::new()),
    };
    // One rule a kind, with all that is to be done.
    let mut rules: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for one in denied {
        let verbs = rules.entry((&one.group, &one.resource)).or_default();
        verbs.insert(&one.verb);
    }
    let rules = rules.iter().map(|((group, resource), verbs)| {
        let verbs: Vec<String> = verbs.iter().map(|verb| format!("\"{verb}\"")).collect();
        let verbs = verbs.join(", ");
        format!("- {{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [{verbs}]}}\n")
    });
    let rules: String = rules.collect();
    // One that is applied replaces that of the same name; what was allowed for another overlay or magic is to stay.
    let name = format!("{name}-{:08x}", number_of(&rules));
    let subject = match who
        .strip_prefix("system:serviceaccount:")
        .and_then(|who| who.split_once(':'))
    {
        Some((namespace, name)) => {
            format!("{{kind: ServiceAccount, name: {name}, namespace: {namespace}}}")
        }
        None => format!("{{kind: User, apiGroup: rbac.authorization.k8s.io, name: \"{who}\"}}"),
    };
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}{place}}}\nrules:\n{rules}---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}Binding\nmetadata: {{name: {name}{place}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {name}}}\nsubjects:\n- {subject}\n"
    )
}

/// What is denied, each kind once: who may not do it in their own namespace need not be told of the whole cluster.
pub fn told(denied: &[Denied]) -> Vec<String> {
    let is_closer = |one: &Denied, other: &Denied| {
        other.namespace.is_some()
            && (&one.verb, &one.group, &one.resource)
                == (&other.verb, &other.group, &other.resource)
    };
    denied
        .iter()
        .filter(|one| one.namespace.is_some() || !denied.iter().any(|other| is_closer(one, other)))
        .map(ToString::to_string)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn denied(resource: &str, namespace: Option<&str>) -> Denied {
        Denied {
            verb: "list".to_owned(),
            group: String::new(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
            said: format!(
                "{resource} is forbidden: User \"system:serviceaccount:anna:default-editor\" cannot list resource"
            ),
        }
    }

    #[test]
    fn the_role_asks_for_each_right_once() {
        let all = [
            denied("pods", None),
            denied("nodes", None),
            denied("pods", Some("anna")),
            denied("secrets", Some("anna")),
        ];
        expect![[r#"
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRole
            metadata: {name: mlk8s-view-default-editor-anna-43382fac}
            rules:
            - {apiGroups: [""], resources: ["nodes"], verbs: ["list"]}
            - {apiGroups: [""], resources: ["pods"], verbs: ["list"]}
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRoleBinding
            metadata: {name: mlk8s-view-default-editor-anna-43382fac}
            roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mlk8s-view-default-editor-anna-43382fac}
            subjects:
            - {kind: ServiceAccount, name: default-editor, namespace: anna}
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: Role
            metadata: {name: mlk8s-view-default-editor-anna-b0982552, namespace: anna}
            rules:
            - {apiGroups: [""], resources: ["secrets"], verbs: ["list"]}
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: mlk8s-view-default-editor-anna-b0982552, namespace: anna}
            roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: mlk8s-view-default-editor-anna-b0982552}
            subjects:
            - {kind: ServiceAccount, name: default-editor, namespace: anna}
        "#]]
        .assert_eq(&role_to_ask_for(&all, Purpose::View).unwrap());
    }

    #[test]
    fn a_role_for_applying_leaves_that_for_seeing_as_it_is() {
        let all = [denied("pods", Some("anna"))];
        let role = |purpose| role_to_ask_for(&all, purpose).unwrap();
        let names = |role: &str, name: &str| {
            role.matches(&format!(": {name}-default-editor-anna"))
                .count()
        };
        // The role, its binding, and what that refers to.
        assert_eq!(names(&role(Purpose::View), "mlk8s-view"), 3);
        let apply = role(Purpose::Apply);
        assert_eq!(names(&apply, "mlk8s-apply"), 3);
        assert_eq!(names(&apply, "mlk8s-view"), 0);
    }

    #[test]
    fn the_role_for_one_overlay_leaves_that_for_another_as_it_is() {
        let name = |resource| {
            let role = role_to_ask_for(&[denied(resource, Some("anna"))], Purpose::Apply);
            let role = role.unwrap();
            let line = role.lines().nth(2).unwrap();
            line.to_owned()
        };
        assert_ne!(name("pods"), name("services"));
        assert_eq!(name("pods"), name("pods"));
        // As the algorithm's own page has it.
        assert_eq!(
            (number_of(""), number_of("foobar")),
            (0x811c_9dc5, 0xbf9c_f968)
        );
    }

    #[test]
    fn what_is_denied_in_the_own_namespace_too_is_told_of_that() {
        let all = [
            denied("pods", None),
            denied("pods", Some("anna")),
            denied("nodes", None),
        ];
        assert_eq!(
            told(&all),
            [
                "may not list `pods` in namespace `anna`",
                "may not list `nodes` of the whole cluster"
            ]
        );
    }

    #[test]
    fn the_server_knows_best_which_right_is_missing() {
        let said = r#"deployments.apps "llm" is forbidden: User "anna" cannot create resource "deployments" in API group "apps" in the namespace "ml""#;
        assert!(Denied::is_told_by(said));
        let right = Denied::said(said).unwrap();
        assert_eq!(
            right.to_string(),
            "may not create `deployments` in namespace `ml`"
        );
        assert_eq!(right.group, "apps");
        let quota = r#"pods "a" is forbidden: exceeded quota: q, requested: cpu=1"#;
        assert!(!Denied::is_told_by(quota));
        let path = r#"forbidden: User "anna" cannot get path "/metrics""#;
        assert!(Denied::is_told_by(path) && Denied::said(path).is_none());
    }

    #[test]
    fn nothing_denied_asks_for_nothing() {
        assert_eq!(role_to_ask_for(&[], Purpose::Apply), None);
    }
}
