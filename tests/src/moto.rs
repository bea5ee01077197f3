//! `moto`, somebody else's AWS: installed from PyPI below the target directory, in an environment of its own.
//!
//! From [`Moto::bus`] on it asks every request for a signature, which it computes with botocore; what is put on the bus
//! is read back from a queue that a rule of the bus feeds.

use std::{net::TcpListener, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::process::Child;

use crate::{python, wait};

const PACKAGES: [&str; 1] = ["moto[server]==5.1.22"];

/// Makes a bus whose events go to a queue, a user who may do everything, and a key of theirs; then asks for signatures.
const BUS: &str = r#"
import boto3, json, sys, urllib.request
url = sys.argv[1]
make = lambda name: boto3.client(name, region_name="eu-central-1", endpoint_url=url,
                                 aws_access_key_id="any", aws_secret_access_key="any")
queue = make("sqs").create_queue(QueueName="errors")["QueueUrl"]
arn = make("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
events = make("events")
events.create_event_bus(Name="acmeco")
events.put_rule(Name="all", EventBusName="acmeco", EventPattern=json.dumps({"source": ["trunnion"]}))
events.put_targets(Rule="all", EventBusName="acmeco", Targets=[{"Id": "queue", "Arn": arn}])
iam = make("iam")
iam.create_user(UserName="trunnion")
policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
iam.put_user_policy(UserName="trunnion", PolicyName="all", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="trunnion")["AccessKey"]
plain = {"Content-Type": "text/plain"}
reset = urllib.request.Request(url + "/moto-api/reset-auth", data=b"0", headers=plain, method="POST")
urllib.request.urlopen(reset).read()
print(json.dumps({"queue": queue, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}))
"#;

/// Takes everything out of the queue.
const TAKE: &str = r#"
import boto3, json, sys
url, queue, id, secret = sys.argv[1:]
sqs = boto3.client("sqs", region_name="eu-central-1", endpoint_url=url,
                   aws_access_key_id=id, aws_secret_access_key=secret)
got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
for one in got:
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
print(json.dumps([json.loads(one["Body"]) for one in got]))
"#;

/// A running server; stops when dropped.
#[derive(Debug)]
pub struct Moto {
    dir: PathBuf,
    base: String,
    _process: Child,
}

/// A bus called `acmeco` in `eu-central-1`, and a key that may put events there.
#[derive(Clone, Debug)]
pub struct Bus {
    queue: String,
    /// The key's id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
}

impl Moto {
    /// Installs and starts it; `None` where there is no Python to run it.
    pub async fn start() -> Result<Option<Self>> {
        if !python::is_there().await {
            return Ok(None);
        }
        let dir = python::installed("moto", &PACKAGES, None).await?;
        // It wants a port by number; between letting go of it and its taking it nobody else should ask.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let process = python::command(&dir, "moto_server")
            .args(["-H", "127.0.0.1", "-p", &port])
            .kill_on_drop(true)
            .spawn()
            .context("starting moto_server")?;
        let moto = Self { dir, base: format!("http://127.0.0.1:{port}"), _process: process };
        let health = format!("{}/moto-api/", moto.base);
        let http = reqwest::Client::new();
        wait::until("moto to listen", || async { http.get(&health).send().await.ok() }).await?;
        Ok(Some(moto))
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Makes the bus. From here on every request must be signed.
    pub async fn bus(&self) -> Result<Bus> {
        let made = self.python(BUS, &[]).await?;
        let text = |name: &str| {
            made.get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .with_context(|| format!("no {name}: {made}"))
        };
        Ok(Bus { queue: text("queue")?, access_key_id: text("id")?, secret_access_key: text("secret")? })
    }

    /// What came to the bus since this was last asked.
    pub async fn take(&self, bus: &Bus) -> Result<Vec<Value>> {
        let Bus { queue, access_key_id, secret_access_key } = bus;
        let taken = self.python(TAKE, &[queue, access_key_id, secret_access_key]).await?;
        taken.as_array().cloned().with_context(|| format!("not a list: {taken}"))
    }

    async fn python(&self, program: &str, arguments: &[&str]) -> Result<Value> {
        let mut python = python::command(&self.dir, "python");
        python.args(["-c", program, &self.base]).args(arguments);
        python.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let output = python.output().await.context("running Python with boto3")?;
        if !output.status.success() {
            bail!("boto3 failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
