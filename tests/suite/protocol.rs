//! The Jupyter protocol over real ZeroMQ: which messages come of which request, in which order.

mod frontend;
mod launch;

use frontend::{Frontend, cell};
use launch::Transport;
use serde_json::{Value, json};

/// A cell that asks the user, in the way that evcxr understands.
const ASKS: &str = r#"
println!("EVCXR_INPUT_REQUEST:Name?");
let mut name = String::new();
std::io::stdin().read_line(&mut name).unwrap();
format!("Hello {}", name.trim())
"#;

/// Checks that `talk` showed exactly `expected` between busy and idle.
fn check(talk: &frontend::Talk, expected: &[&str]) {
    let mut all = vec!["status busy"];
    all.extend(expected);
    all.push("status idle");
    assert_eq!(talk.seen, all, "{}", talk.reply);
}

#[test]
fn a_magic_from_busy_to_idle() {
    let mut frontend = Frontend::start(Transport::Tcp);
    let talk = frontend.run("%lsmagic");
    check(
        &talk,
        &[
            "execute_input 1 %lsmagic",
            "execute_result magic what it does",
        ],
    );
    assert_eq!(
        talk.reply,
        json!({"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []})
    );
    let talk = frontend.run("%lsmagik");
    check(
        &talk,
        &[
            "execute_input 2 %lsmagik",
            "error NotFound: there is no magic called `lsmagik`",
        ],
    );
    assert_eq!(talk.reply["status"], "error");
    assert_eq!(talk.reply["ename"], "NotFound");
    assert!(
        talk.reply["traceback"][1]
            .as_str()
            .unwrap()
            .contains("did you mean `lsmagic`?"),
        "{}",
        talk.reply
    );
    let talk = frontend.run("%help\n%lsmagic");
    check(
        &talk,
        &[
            "execute_input 3 %help\n%lsmagic",
            "display_data **A cell is Rust, or a",
            "execute_result magic what it does",
        ],
    );
    let talk = frontend.run("%lsmagic?");
    check(&talk, &["execute_input 4 %lsmagic?"]);
    assert_eq!(talk.reply["payload"][0]["source"], "page");
    frontend.leave();
}

#[test]
fn sockets_may_be_files() {
    let mut frontend = Frontend::start(Transport::Ipc);
    let talk = frontend.ask("kernel_info_request", &json!({}));
    check(&talk, &[]);
    assert!(frontend.beats());
    frontend.leave();
}

#[test]
fn the_kernel_says_who_it_is_on_both_channels() {
    let mut frontend = Frontend::start(Transport::Tcp);
    for talk in [
        frontend.ask("kernel_info_request", &json!({})),
        frontend.command("kernel_info_request", &json!({})),
    ] {
        check(&talk, &[]);
        let language = &talk.reply["language_info"];
        assert_eq!(talk.reply["status"], "ok");
        assert_eq!(talk.reply["protocol_version"], "5.5");
        assert_eq!(
            [
                "name",
                "mimetype",
                "file_extension",
                "pygments_lexer",
                "codemirror_mode"
            ]
            .map(|name| &language[name]),
            ["rust", "text/x-rust", ".rs", "rust", "rust"]
        );
    }
    frontend.leave();
}

#[test]
fn nothing_is_shown_of_a_silent_cell() {
    let mut frontend = Frontend::start(Transport::Tcp);
    let mut request = cell("%lsmagic");
    request["silent"] = json!(true);
    let talk = frontend.ask("execute_request", &request);
    check(&talk, &[]);
    assert_eq!(talk.reply["execution_count"], 0);
    let mut request = cell("%lsmagic");
    request["store_history"] = json!(false);
    let talk = frontend.ask("execute_request", &request);
    check(
        &talk,
        &[
            "execute_input 0 %lsmagic",
            "execute_result magic what it does",
        ],
    );
    let minimal = frontend.ask("execute_request", &json!({"code": ""}));
    check(&minimal, &["execute_input 1 "]);
    let wrong = frontend.ask("execute_request", &json!({}));
    check(&wrong, &[]);
    assert_eq!(wrong.reply["ename"], "BadRequest");
    frontend.leave();
}

#[test]
fn what_is_not_rightly_signed_is_skipped() {
    let mut frontend = Frontend::start(Transport::Tcp);
    frontend.send_forged("execute_request", &cell("%lsmagic"));
    frontend.send_frames(vec![b"nonsense".to_vec()]);
    frontend.send_frames(vec![b"<IDS|MSG>".to_vec(), vec![0xff; 3], b"{".to_vec()]);
    let talk = frontend.run("%lsmagic");
    check(
        &talk,
        &[
            "execute_input 1 %lsmagic",
            "execute_result magic what it does",
        ],
    );
    frontend.leave();
}

#[test]
fn questions_beside_the_cells_are_answered() {
    let mut frontend = Frontend::start(Transport::Tcp);
    for (code, expected) in [
        ("1 + 1", json!({"status": "complete"})),
        (
            "fn f() {",
            json!({"status": "incomplete", "indent": "    "}),
        ),
        ("fn )", json!({"status": "invalid"})),
        ("%lsmagic", json!({"status": "complete"})),
    ] {
        let talk = frontend.ask("is_complete_request", &json!({"code": code}));
        check(&talk, &[]);
        assert_eq!(talk.reply, expected, "{code}");
    }
    let talk = frontend.ask(
        "complete_request",
        &json!({"code": "1;\n%lsm", "cursor_pos": 7}),
    );
    check(&talk, &[]);
    assert_eq!(talk.reply["matches"], json!(["%lsmagic"]));
    assert_eq!(
        [&talk.reply["cursor_start"], &talk.reply["cursor_end"]],
        [3, 7]
    );
    let talk = frontend.ask(
        "complete_request",
        &json!({"code": "%kg show --", "cursor_pos": 11}),
    );
    check(&talk, &[]);
    assert!(
        talk.reply["matches"]
            .as_array()
            .unwrap()
            .contains(&json!("--around")),
        "{}",
        talk.reply
    );
    let talk = frontend.ask(
        "inspect_request",
        &json!({"code": "%kg build", "cursor_pos": 4, "detail_level": 0}),
    );
    check(&talk, &[]);
    assert_eq!(talk.reply["found"], true);
    assert!(
        talk.reply["data"]["text/plain"]
            .as_str()
            .unwrap()
            .contains("--as"),
        "{}",
        talk.reply
    );
    let talk = frontend.ask("comm_info_request", &json!({}));
    assert_eq!(talk.reply, json!({"status": "ok", "comms": {}}));
    let id = frontend.send(
        "comm_open",
        &json!({"comm_id": "a", "target_name": "nobody", "data": {}}),
    );
    assert_eq!(
        frontend.until_idle(&id),
        ["status busy", "comm_close", "status idle"]
    );
    let id = frontend.send("no_such_request", &json!({}));
    assert_eq!(frontend.until_idle(&id), ["status busy", "status idle"]);
    let talk = frontend.command(
        "debug_request",
        &json!({"seq": 1, "type": "request", "command": "initialize"}),
    );
    assert_eq!(talk.reply["success"], false);
    frontend.leave();
}

#[test]
fn the_history_is_kept() {
    let mut frontend = Frontend::start(Transport::Tcp);
    for code in ["%lsmagic", "%help", "%lsmagic"] {
        frontend.run(code);
    }
    let mut lines = |request: Value| {
        let talk = frontend.ask("history_request", &request);
        check(&talk, &[]);
        talk.reply["history"].clone()
    };
    let tail = lines(json!({"hist_access_type": "tail", "n": 2, "raw": true, "output": false}));
    assert_eq!(tail, json!([[1, 2, "%help"], [1, 3, "%lsmagic"]]));
    let search = json!({"hist_access_type": "search", "pattern": "%ls*", "unique": true, "raw": true, "output": false});
    assert_eq!(lines(search), json!([[1, 3, "%lsmagic"]]));
    let range = json!({"hist_access_type": "range", "session": 0, "start": 1, "stop": 2, "raw": true, "output": true});
    assert!(
        lines(range)[0][2][1]
            .as_str()
            .unwrap()
            .contains("what it does")
    );
    frontend.leave();
}

#[test]
fn an_interrupt_stops_a_magic_and_the_cells_behind_it() {
    let mut frontend = Frontend::start(Transport::Tcp);
    let idle = frontend.command("interrupt_request", &json!({}));
    check(&idle, &[]);
    let articles = frontend.dir.path().join("articles");
    std::fs::create_dir(&articles).unwrap();
    for n in 0..20_000 {
        std::fs::write(
            articles.join(format!("{n}.md")),
            "# A title\n\nA sentence about a thing.\n",
        )
        .unwrap();
    }
    let id = frontend.send("execute_request", &cell("%corpus articles"));
    let next = frontend.send("execute_request", &cell("%lsmagic"));
    let begun = [frontend.published().kind, frontend.published().kind];
    assert_eq!(begun, ["status", "execute_input"]);
    let stop = frontend.send_command("interrupt_request", &json!({}));
    let mut states = Vec::new();
    let ended = |states: &[(String, String)]| states.iter().filter(|(_, at)| at == "idle").count();
    while ended(&states) < 3 {
        let message = frontend.published();
        if message.kind == "error" {
            assert_eq!(message.content["ename"], "Interrupted");
        } else if message.kind == "status" {
            states.push((
                message.parent,
                message.content["execution_state"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            ));
        }
    }
    let of = |id: &str| {
        states
            .iter()
            .filter(|(parent, _)| parent == id)
            .map(|(_, state)| state.as_str())
            .collect::<Vec<_>>()
    };
    // Where the interrupt was answered first, servers have heard again that the cell went on.
    assert_eq!(of(&id).last(), Some(&"idle"));
    assert_eq!(of(&next), ["busy", "idle"]);
    assert_eq!(of(&stop), ["busy", "idle"]);
    assert_eq!(
        frontend.reply("execute_request", &id)["ename"],
        "Interrupted"
    );
    assert_eq!(frontend.reply("execute_request", &next)["ename"], "Aborted");
    assert_eq!(
        frontend.command_reply("interrupt_request", &stop),
        json!({"status": "ok"})
    );
    let talk = frontend.run("%lsmagic");
    check(
        &talk,
        &[
            "execute_input 2 %lsmagic",
            "execute_result magic what it does",
        ],
    );
    frontend.leave();
}

#[test]
fn rust_cells_keep_their_values_and_say_what_is_wrong() {
    let mut frontend = Frontend::start(Transport::Tcp);
    let talk = frontend.run("let x = 20 + 1;");
    check(&talk, &["execute_input 1 let x = 20 + 1;"]);
    let talk = frontend.run("x * 2");
    check(&talk, &["execute_input 2 x * 2", "execute_result 42"]);
    let talk = frontend.run("println!(\"out\");\neprintln!(\"err\");");
    let mut shown = talk.seen[2..talk.seen.len() - 1].to_vec();
    shown.sort();
    assert_eq!(shown, ["stderr err", "stdout out"]);
    let talk = frontend.run("%lsmagic\nlet y: u32 = \"text\";");
    assert_eq!(talk.seen.len(), 5, "{talk:?}");
    assert_eq!(talk.seen[3], "error CompileError: mismatched types");
    let traceback = talk.reply["traceback"].to_string();
    assert!(traceback.contains("cell:2:14"), "{traceback}");
    let talk = frontend.run("panic!(\"no way\");");
    let expected = ["error Panic: no way", "status idle"];
    assert_eq!(talk.seen[2..], expected, "{talk:?}");
    let mut request = cell("x + 1");
    request["user_expressions"] = json!({"double": "x * 2", "wrong": "nothing"});
    let talk = frontend.ask("execute_request", &request);
    assert_eq!(
        talk.reply["user_expressions"]["double"]["data"]["text/plain"], "42",
        "{talk:?}"
    );
    assert_eq!(talk.reply["user_expressions"]["wrong"]["status"], "error");
    let id = frontend.send("execute_request", &cell(ASKS));
    assert_eq!(
        frontend.answer("Ada"),
        json!({"prompt": "Name?", "password": false})
    );
    let seen = frontend.until_idle(&id);
    assert_eq!(seen[2..], ["execute_result \"Hello Ada\"", "status idle"]);
    assert_eq!(frontend.reply("execute_request", &id)["status"], "ok");
    let talk = frontend.ask(
        "complete_request",
        &json!({"code": "x.pow", "cursor_pos": 5}),
    );
    assert!(
        talk.reply["matches"].to_string().contains("pow"),
        "{}",
        talk.reply
    );
    frontend.leave();
}

#[test]
fn a_frontend_may_leave_before_rust_is_ready() {
    let mut frontend = Frontend::start(Transport::Tcp);
    let id = frontend.send("execute_request", &cell("1 + 1"));
    assert_eq!(
        [frontend.published().parent, frontend.published().parent],
        [id.clone(), id]
    );
    frontend.leave_at_once();
}
