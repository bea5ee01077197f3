//! The manifest that a declaration gives is the one the host reads: every part an author can declare, parsed
//! by the host's own code and compared.

use std::{collections::BTreeMap, time::Duration};

use trunnion_core::manifest::{self as host, auth};
use trunnion_sdk::{
    action::Reconciled,
    auth::{
        Account, CallbackSignature, Capture, ClientCredentials, JwtBearer, Oauth2, Parameter, TokenEndpoint,
    },
    connector::Bucket,
    lookup::{Choice, Choices, Lookup, Query},
    prelude::*,
    serde_json::Map,
    trigger::{Dedup, HmacAlgorithm, SignatureEncoding, SignedPart, SignedTime, TimeUnit, Verification},
};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Task {
    /// What is to be done.
    title: String,
    #[serde(default)]
    done: bool,
}

fn set(_: &Context, task: Task) -> Result<Task> {
    Ok(task)
}

/// Titles that are empty are refused; one that says so loses the answers.
fn set_all(_: &Context, tasks: Vec<Task>) -> Result<Vec<Result<Task>>> {
    if tasks.iter().any(|task| task.title == "lost") {
        return Ok(Vec::new());
    }
    let answer =
        |task: Task| if task.title.is_empty() { Err(Error::rejected(400, "no title")) } else { Ok(task) };
    Ok(tasks.into_iter().map(answer).collect())
}

/// Three pages of one task each.
fn list(_: &Context, task: Task, page: Option<u32>) -> Result<Listing<Task, u32>> {
    let page = page.unwrap_or(1);
    let item = Task { title: format!("{} {page}", task.title), ..task };
    Ok(Listing { items: vec![item], next: (page < 3).then_some(page + 1) })
}

fn look_up(_: &Context, task: Task, key: &str) -> Result<Reconciled<Task>> {
    Ok(match key {
        "found" => Reconciled::Found(task),
        "absent" => Reconciled::Absent,
        _ => Reconciled::Unknown("no idea".into()),
    })
}

fn check(_: &Context) -> Result<Account> {
    Ok(Account::new("1", "Acme"))
}

#[derive(Debug)]
struct TaskDone;

impl Webhook for TaskDone {
    type Data = Task;
    type State = u64;

    fn subscribe(_: &Context, _: &Target) -> Result<u64> {
        Ok(1)
    }

    fn unsubscribe(_: &Context, _: u64) -> Result<()> {
        Ok(())
    }

    fn check(_: &Context, _: &Target, state: u64) -> Result<Health<u64>> {
        Ok(Health::Active(state))
    }

    fn parse(_: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Task>>> {
        Ok(vec![Occurrence::new("1", "task/1", delivery.json()?)])
    }
}

fn hmac() -> Verification {
    Verification::Hmac {
        algorithm: HmacAlgorithm::Sha256,
        header: "x-signature".into(),
        encoding: SignatureEncoding::Base64,
        prefix: "v1,".into(),
        parts: vec![
            SignedPart::Method,
            SignedPart::Url,
            SignedPart::Header("x-time".into()),
            SignedPart::Literal(".".into()),
            SignedPart::Body,
        ],
        secret: "client_secret".into(),
        timestamp: Some(SignedTime {
            header: "x-time".into(),
            unit: TimeUnit::Seconds,
            tolerance_ms: 300_000,
        }),
    }
}

fn app_hmac() -> Verification {
    Verification::Hmac {
        algorithm: HmacAlgorithm::Sha256,
        header: "x-signature".into(),
        encoding: SignatureEncoding::Hex,
        prefix: String::new(),
        parts: vec![SignedPart::UrlDecoded(":/".into()), SignedPart::Body],
        secret: "app_secret".into(),
        timestamp: None,
    }
}

#[derive(Debug)]
struct TaskSeen;

impl Delivered for TaskSeen {
    type Data = Task;

    fn parse(_: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Task>>> {
        Ok(vec![Occurrence::new("portal-7", "task/1", delivery.json()?)])
    }
}

#[derive(Debug)]
struct TaskChanged;

impl Poll for TaskChanged {
    type Data = Task;
    type Cursor = u64;
    const POLLING: Polling = Polling::every(Duration::from_secs(300))
        .at_least(Duration::from_secs(120))
        .overlap(Duration::from_secs(60))
        .recheck(Duration::from_secs(7200), Duration::from_secs(86_400))
        .cursor_format(2, &[1, 2]);

    fn start(ctx: &Context) -> Result<u64> {
        Ok(ctx.polling_since_ms())
    }

    fn poll(ctx: &Context, cursor: u64) -> Result<Page<Task, u64>> {
        let title = format!("{}, back {:?}", cursor, ctx.look_back());
        let task = Task { title, done: false };
        Ok(Page::and_more(vec![Occurrence::of_record("task/1", cursor, task)], cursor + 1))
    }

    fn upgrade(format: u32, cursor: Value) -> Result<u64> {
        assert_eq!(format, 1);
        Ok(cursor.get("number").and_then(Value::as_u64).unwrap_or_default())
    }
}

const TASK: &str = r#"{"title":"Call Ada","done":false}"#;

fn oauth() -> Oauth2 {
    let token = TokenEndpoint::new("https://{shop}.acme.com/token").basic().json().parameter("expiring", "1");
    Oauth2::new("https://{shop}.acme.com/authorize", token)
        .scopes(&["read", "write"])
        .scope_separator(",")
        .authorize_parameter("access", "offline")
        .pkce()
        .rotating()
        .repeat("context")
        .capture(Capture::callback("shop", "shop").suffix(".acme.com"))
        .capture(Capture::token("store", "context").prefix("stores/"))
        .signed_callback(
            CallbackSignature::new("hmac").unsigned("signature").time("timestamp", Duration::from_secs(90)),
        )
}

trunnion_sdk::connector! {
    id: "acme",
    title: "Acme",
    help: "Tasks.",
    hosts: ["api.acme.com", "{shop}.acme.com", "{hosts}"],
    connection: Connection::new()
        .parameter(Parameter::host_label("shop", "Shop").help("Your shop's name."))
        .parameter(Parameter::identifier("store", "Store"))
        .parameter(Parameter::digits("number", "Number"))
        .parameter(Parameter::host_names("hosts", "Hosts"))
        .scheme(Scheme::fields("key", "API key")
            .field("api_key", "API key", "Settings")
            .field("client_secret", "Client secret", "")
            .header("X-Key", secret("api_key"))
            .query("key", secret("api_key")))
        .scheme(Scheme::oauth2("oauth", "Acme", oauth()).bearer())
        .scheme(Scheme::client_credentials("client", "Own client", ClientCredentials::new(
            TokenEndpoint::new("https://api.acme.com/token")).scopes(&["read"])).own_client("Settings").bearer())
        .scheme(Scheme::jwt_bearer("account", "Service account",
            JwtBearer::new("key", "Key", "Console").scopes(&["rows"]).audience("https://api.acme.com/token")).bearer())
        .scheme(Scheme::basic("user", "User"))
        .scheme(Scheme::aws_sigv4("aws", "Access key", "s3", "{store}")),
    check: check,
    buckets: [Bucket::new("all", 40, Duration::from_secs(10)).full_at_once()],
    triggers: [
        Trigger::webhook::<TaskDone>("task_done", "Task done", hmac(), Dedup::header("x-id")).sample(TASK),
        Trigger::webhook::<TaskDone>("task_made", "Task made", Verification::secret_header("x-s", "subscription"),
            Dedup::body("/id")).help("When made.").sample(TASK),
        Trigger::webhook::<TaskDone>("task_gone", "Task gone", Verification::secret_header("x-s", "subscription"),
            Dedup::BodyHash).sample(TASK),
        Trigger::app_webhook::<TaskSeen>("task_seen", "Task seen", app_hmac(), Dedup::BodyHash).sample(TASK),
        Trigger::manual_webhook::<TaskSeen>("task_told", "Task told",
            Verification::secret_header("x-s", "subscription"), Dedup::BodyHash).sample(TASK),
        Trigger::poll::<TaskChanged>("task_changed", "Task changed").options::<File>(r#"{"board":7}"#).sample(TASK),
        Trigger::manual_webhook::<TaskSeen>("task_posted", "Task posted", Verification::Configured, Dedup::Configured)
            .options::<BTreeMap<String, Value>>(
                r#"{"verify":{"method":"secret_header","header":"x-s","secret":"subscription"}}"#,
            )
            .sample(TASK),
    ],
    actions: [
        Action::new("never", "Never", set).sample(TASK, TASK),
        Action::new("safe", "Safe", set).help("Sets it.").safe_to_repeat().sample(TASK, TASK),
        Action::new("key", "Key", set).recognises_key().sample(TASK, TASK),
        Action::new("lookup", "Look up", set).reconciled_by(look_up).sample(TASK, TASK),
        Action::new("batch", "Batch", set).recognises_key().batch(3, set_all).sample(TASK, TASK),
        Action::listing("list", "List", list).sample(TASK, r#"{"items":[{"title":"Call Ada","done":false}],"next":null}"#),
        Action::new("file", "File", file).shaped_by(columns).sample(r#"{"board":7}"#, "7"),
    ],
    lookups: [Lookup::new("boards", "Boards", boards)],
}

#[derive(Debug, Deserialize, JsonSchema)]
struct File {
    /// Where to.
    #[schemars(extend("x-lookup" = "boards"))]
    board: u64,
}

fn file(_: &Context, input: File) -> Result<u64> {
    Ok(input.board)
}

fn columns(_: &Context, values: &Map<String, Value>) -> Result<Value> {
    Ok(json!({"type": "object", "title": values.get("board")}))
}

fn boards(_: &Context, query: &Query) -> Result<Choices> {
    let found = query.among([Choice::new(7, "To do"), Choice::new(8, "Done")]);
    Ok(Choices::page(found.items().to_vec(), query.cursor.clone()))
}

#[test]
fn lookups_say_the_same_on_both_sides() {
    let manifest = host::Manifest::parse(&connector().manifest()).unwrap();
    assert_eq!(manifest.lookup("boards").map(|lookup| lookup.title.as_str()), Some("Boards"));
    let action = manifest.action("file").unwrap();
    assert_eq!(action.input["properties"]["board"]["x-lookup"], "boards");
    assert!(action.account_schema && !manifest.action("safe").unwrap().account_schema);
}

#[test]
fn a_lookup_is_found_by_its_name() {
    let host = trunnion_sdk::test::FakeHost::new();
    let query = Query { search: "done".into(), cursor: Some(json!(2)), ..Query::default() };
    let choices = connector().options(&host.calling("boards"), &query).unwrap();
    assert_eq!(choices.items(), [Choice::new(8, "Done")]);
    assert_eq!(choices.next(), Some(&json!(2)));
    let error = connector().options(&host.calling("tasks"), &query).unwrap_err().to_string();
    assert!(error.contains("no lookup `tasks`"), "{error}");
}

#[test]
fn an_action_may_have_another_shape_in_each_account() {
    let host = trunnion_sdk::test::FakeHost::new();
    let ctx = host.context();
    let values = Map::from_iter([("board".to_owned(), json!(7))]);
    assert_eq!(connector().schema(&ctx, "file", &values).unwrap()["title"], 7);
    let error = connector().schema(&ctx, "safe", &values).unwrap_err().to_string();
    assert!(error.contains("no account's own schema for action `safe`"), "{error}");
}

#[test]
fn the_host_reads_everything_that_can_be_declared() {
    trunnion_sdk::test::assert_sound(&connector());
    let manifest = host::Manifest::parse(&connector().manifest()).unwrap();
    assert_eq!(manifest.version.to_string(), env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest.hosts, ["api.acme.com", "{shop}.acme.com", "{hosts}"]);

    let patterns: Vec<_> = manifest.connection.parameters.iter().map(|parameter| parameter.pattern).collect();
    use host::ParameterPattern::{Digits, HostLabel, HostNames, Identifier};
    assert_eq!(patterns, [HostLabel, Identifier, Digits, HostNames]);

    let scheme = manifest.scheme("key").unwrap();
    let value = || "{{secret:api_key}}".to_owned();
    let header = host::Placement::Header { name: "X-Key".into(), value: value() };
    let query = host::Placement::Query { name: "key".into(), value: value() };
    assert_eq!(scheme.place, [header, query]);
    let user = manifest.scheme("user").unwrap();
    let [username, password] = ["username", "password"].map(|name| format!("{{{{secret:{name}}}}}"));
    assert_eq!(user.place, [host::Placement::Basic { username, password }]);
    let signed = auth::AwsSigv4 {
        access_key: "{{secret:access_key_id}}".into(),
        secret_key: "{{secret:secret_access_key}}".into(),
        session_token: None,
        service: "s3".into(),
        region: "{store}".into(),
    };
    assert_eq!(manifest.scheme("aws").unwrap().place, [host::Placement::AwsSigv4(signed)]);

    assert_eq!(
        manifest.buckets,
        [host::Bucket { id: "all".into(), capacity: 40, window_ms: 10_000, refill: host::Refill::AtOnce }]
    );
    use host::Repeat::{Key, Lookup, Never, Safe};
    let repeats: Vec<_> = manifest.actions.iter().map(|action| action.repeat).collect();
    assert_eq!(repeats, [Never, Safe, Key, Lookup, Key, Safe, Never]);
    let forms = ["safe", "batch", "list"].map(|id| {
        let action = manifest.action(id).unwrap();
        (action.batch, action.pages)
    });
    assert_eq!(forms, [(None, false), (Some(3), false), (None, true)]);
}

#[test]
fn issued_credentials_say_the_same_on_both_sides() {
    let manifest = host::Manifest::parse(&connector().manifest()).unwrap();
    let kind = |id: &str| &manifest.scheme(id).unwrap().kind;
    let token = |url: &str| auth::TokenEndpoint {
        url: url.into(),
        client: auth::ClientAuth::Body,
        body: auth::TokenBody::Form,
        parameters: BTreeMap::new(),
    };
    let capture = |parameter: &str, from, name: &str, prefix: &str, suffix: &str| auth::Capture {
        parameter: parameter.into(),
        from,
        name: name.into(),
        prefix: prefix.into(),
        suffix: suffix.into(),
    };
    let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let oauth = auth::Oauth2 {
        authorize: auth::AuthorizeEndpoint {
            url: "https://{shop}.acme.com/authorize".into(),
            parameters: one("access", "offline"),
            scope_separator: ",".into(),
            pkce: auth::Pkce::S256,
        },
        token: auth::TokenEndpoint {
            client: auth::ClientAuth::Basic,
            body: auth::TokenBody::Json,
            parameters: one("expiring", "1"),
            ..token("https://{shop}.acme.com/token")
        },
        scopes: vec!["read".into(), "write".into()],
        refresh: auth::Refresh::Rotating,
        repeat: vec!["context".into()],
        captures: vec![
            capture("shop", auth::CaptureSource::Callback, "shop", "", ".acme.com"),
            capture("store", auth::CaptureSource::Token, "context", "stores/", ""),
        ],
        callback: Some(auth::CallbackSignature {
            parameter: "hmac".into(),
            unsigned: vec!["signature".into()],
            timestamp: Some(auth::CallbackTime { parameter: "timestamp".into(), tolerance_ms: 90_000 }),
        }),
    };
    assert_eq!(*kind("oauth"), host::AuthKind::Oauth2(Box::new(oauth)));
    let field = |name: &str, title: &str, help: &str| host::SecretField {
        name: name.into(),
        title: title.into(),
        help: help.into(),
    };
    let client = auth::ClientCredentials {
        token: token("https://api.acme.com/token"),
        scopes: vec!["read".into()],
        fields: vec![
            field("client_id", "Client ID", "Settings"),
            field("client_secret", "Client secret", "Settings"),
        ],
    };
    assert_eq!(*kind("client"), host::AuthKind::ClientCredentials(client));
    let bearer = auth::JwtBearer {
        key: field("key", "Key", "Console"),
        scopes: vec!["rows".into()],
        audience: Some("https://api.acme.com/token".into()),
    };
    assert_eq!(*kind("account"), host::AuthKind::JwtBearer(bearer));
}

#[test]
fn verification_and_dedup_say_the_same_on_both_sides() {
    let manifest = host::Manifest::parse(&connector().manifest()).unwrap();
    let of = |id: &str| {
        let source = manifest.trigger(id).unwrap().source.clone();
        let host::TriggerSource::Webhook(webhook) = source else { panic!("`{id}` is no webhook") };
        webhook
    };
    let signed = of("task_done");
    let expected = host::Verification::Hmac {
        algorithm: host::HmacAlgorithm::Sha256,
        header: "x-signature".into(),
        encoding: host::SignatureEncoding::Base64,
        prefix: "v1,".into(),
        parts: vec![
            host::SignedPart::Method,
            host::SignedPart::Url,
            host::SignedPart::Header("x-time".into()),
            host::SignedPart::Literal(".".into()),
            host::SignedPart::Body,
        ],
        secret: "client_secret".into(),
        timestamp: Some(host::SignedTime {
            header: "x-time".into(),
            unit: host::TimeUnit::Seconds,
            tolerance_ms: 300_000,
        }),
    };
    assert_eq!(signed.verify, expected);
    assert_eq!(signed.registration, host::Registration::PerConnection);
    assert_eq!(signed.dedup, host::DedupKey::Header { name: "x-id".into() });
    assert_eq!(of("task_made").dedup, host::DedupKey::Body { pointer: "/id".into() });
    assert_eq!(of("task_gone").dedup, host::DedupKey::BodyHash);
    assert_eq!(of("task_told").registration, host::Registration::Manual);
    let posted = of("task_posted");
    assert_eq!((posted.verify, posted.dedup), (host::Verification::Configured, host::DedupKey::Configured));
    let changed = manifest.trigger("task_changed").unwrap();
    assert_eq!(changed.options["properties"]["board"]["x-lookup"], "boards");
    assert_eq!(changed.sample_options, json!({"board": 7}));
    assert_eq!(of("task_seen").registration, host::Registration::PerApp);
    let host::Verification::Hmac { parts, .. } = of("task_seen").verify else { panic!("it is signed") };
    assert_eq!(parts, [host::SignedPart::UrlDecoded(":/".into()), host::SignedPart::Body]);
    assert_eq!(manifest.app_webhooks().map(|(id, _)| id).collect::<Vec<_>>(), ["task_seen"]);
}

#[test]
fn a_webhook_that_others_register_is_parsed_and_never_registered() {
    let host = trunnion_sdk::test::FakeHost::new();
    let body = TASK.as_bytes().to_vec();
    let delivery = Delivery { method: "POST".into(), url: String::new(), headers: vec![], body };
    let parsed = connector().parse_for_app(&host.context(), &delivery).unwrap();
    let [(trigger, occurrence)] = parsed.as_slice() else { panic!("{parsed:?}") };
    assert_eq!((*trigger, occurrence.account.as_str()), ("task_seen", "portal-7"));
    let told = connector().parse(&host.calling("task_told"), &delivery).unwrap();
    assert_eq!(told, std::slice::from_ref(occurrence));
    let target = Target { url: String::new(), options: json!({}) };
    for id in ["task_seen", "task_told"] {
        let error = connector().subscribe(&host.calling(id), &target).unwrap_err().to_string();
        assert!(error.contains(&format!("no registration for the webhook `{id}`")), "{error}");
    }
}

#[test]
fn polling_says_the_same_on_both_sides() {
    let manifest = host::Manifest::parse(&connector().manifest()).unwrap();
    let expected = host::PollSpec {
        interval_ms: 300_000,
        min_interval_ms: 120_000,
        overlap_ms: 60_000,
        recheck: Some(host::Recheck { every_ms: 7_200_000, look_back_ms: 86_400_000 }),
        cursor_format: host::CursorFormat { writes: 2, reads: vec![1, 2] },
        dedup: host::PollDedup::Occurrence,
    };
    assert_eq!(manifest.poll("task_changed"), Some(&expected));
    assert_eq!(manifest.poll("task_done"), None);
}

#[test]
fn a_poll_starts_goes_on_and_reads_earlier_cursors() {
    let host = trunnion_sdk::test::FakeHost::new();
    let ctx = host.calling("task_changed");
    let first = connector().poll(&ctx, None).unwrap();
    assert_eq!(first.occurrences[0].id, format!("task/1@{}", ctx.now_ms()));
    assert_eq!((first.occurrences[0].account.as_str(), first.more), ("", true));
    assert_eq!(first.cursor, format!(r#"{{"format":2,"at":{}}}"#, ctx.now_ms() + 1));
    let earlier = r#"{"format":1,"at":{"number":7}}"#;
    let deeper = host.looking_back("task_changed", Duration::from_secs(9));
    let page = connector().poll(&deeper, Some(earlier)).unwrap();
    assert!(page.occurrences[0].data.contains("7, back Some(9s)"), "{page:?}");
    let error = connector().poll(&ctx, Some("7")).unwrap_err().to_string();
    assert!(error.contains("cursor-not-understood"), "{error}");
    for (name, phrase) in
        [("task_done", "no polling trigger `task_done`"), ("task_new", "no trigger `task_new`")]
    {
        let error = connector().poll(&host.calling(name), None).unwrap_err().to_string();
        assert!(error.contains(phrase), "{error}");
    }
    let delivery = Delivery { method: "POST".into(), url: String::new(), headers: vec![], body: vec![] };
    let error = connector().parse(&ctx, &delivery).unwrap_err().to_string();
    assert!(error.contains("no webhook `task_changed`"), "{error}");
}

#[test]
fn schemas_say_what_the_types_say() {
    let manifest = host::Manifest::parse(&connector().manifest()).unwrap();
    let action = manifest.action("safe").unwrap();
    assert_eq!(action.input["properties"]["title"]["type"], "string");
    assert_eq!(action.input["properties"]["title"]["description"], "What is to be done.");
    // `done` has a default: an input may leave it out, an output always has it.
    assert_eq!(action.input["required"], json!(["title"]));
    assert_eq!(action.output["required"], json!(["title", "done"]));
}

#[test]
fn a_lookup_reconciles_and_nothing_else_does() {
    let host = trunnion_sdk::test::FakeHost::new();
    let reconcile = |name: &str, key| connector().reconcile(&host.calling(name), TASK, key);
    assert!(matches!(reconcile("lookup", "found").unwrap(), Reconciled::Found(text) if text == TASK));
    assert_eq!(reconcile("lookup", "absent").unwrap(), Reconciled::Absent);
    let error = reconcile("safe", "found").unwrap_err().to_string();
    assert!(error.contains("no reconcile for action `safe`"), "{error}");
}

#[test]
fn a_batch_answers_each_item_in_its_place() {
    let host = trunnion_sdk::test::FakeHost::new();
    let run = |name: &str, items: &[&str]| connector().run_batch(&host.calling(name), items);
    let answers = run("batch", &[r#"{"title":""}"#, r#"{"titel":1}"#, TASK]).unwrap();
    assert_eq!(answers[0], Err(Error::rejected(400, "no title")));
    assert!(matches!(&answers[1], Err(Error::InvalidInput { message, .. }) if message.contains("title")));
    assert_eq!(answers[2].as_deref(), Ok(TASK));
    assert_eq!(answers.len(), 3);
    assert!(run("batch", &["[]"]).unwrap()[0].is_err(), "the vendor is not asked where nothing can be read");
    let lost = run("batch", &[r#"{"title":"lost"}"#]).unwrap_err();
    assert!(matches!(&lost, Error::Uncertain(message) if message.contains("`batch`")), "{lost}");
    let error = run("safe", &[TASK]).unwrap_err().to_string();
    assert!(error.contains("no batch form of action `safe`"), "{error}");
}

#[test]
fn a_listing_gives_its_pages_and_as_an_action_the_first() {
    let host = trunnion_sdk::test::FakeHost::new();
    let ctx = host.calling("list");
    let every = trunnion_sdk::test::every_item(&connector(), &ctx, TASK).unwrap();
    let titles: Vec<_> = every.iter().map(|item| item["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Call Ada 1", "Call Ada 2", "Call Ada 3"]);
    let first = connector().run(&ctx, TASK).unwrap();
    assert_eq!(first, r#"{"items":[{"title":"Call Ada 1","done":false}],"next":2}"#);
    let error = connector().page(&ctx, TASK, Some(r#""x""#)).unwrap_err().to_string();
    assert!(error.contains("cursor-not-understood"), "{error}");
    let error = connector().page(&host.calling("safe"), TASK, None).unwrap_err().to_string();
    assert!(error.contains("no listing `safe`"), "{error}");
    let manifest = host::Manifest::parse(&connector().manifest()).unwrap();
    let output = &manifest.action("list").unwrap().output;
    assert_eq!(output["properties"]["items"]["items"]["properties"]["title"]["type"], "string");
}
