"""A store that speaks S3 over HTTP: moto's, as a process on a free port, which checks each request's signature."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import httpx

from app.embedded.ports import free_port
from tests.support.processes import wait_until

BUCKET = "rag"
REGION = "eu-central-1"
ALL_OF_S3 = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


class S3:
    """A store with one bucket and one user, whose secret it asks for. All is in its memory: it keeps nothing."""

    def __init__(self, log: Path) -> None:
        self.port = free_port(0)
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        wait_until(self._answers, "the store answers")
        self.key_id, self.secret = self._new_user()
        self._client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def variables(self, url: str | None = None) -> dict[str, str]:
        """What a process needs to know of it; at another `url` where something is on the way."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
        }

    def names(self, prefix: str = "") -> list[str]:
        """The names of all that is in the bucket, and of uploads that were begun and not ended."""
        client = self._client("s3")
        listed = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        begun = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return sorted(entry["Key"] for entry in [*listed, *begun])

    def put(self, name: str, data: bytes) -> None:
        """Put a file into the bucket, by another way than ours."""
        self._client("s3").put_object(Bucket=BUCKET, Key=name, Body=data)

    def get(self, name: str) -> bytes:
        """A file's bytes."""
        data: bytes = self._client("s3").get_object(Bucket=BUCKET, Key=name)["Body"].read()
        return data

    def parts(self, name: str) -> int:
        """In how many parts the file came; 1: in one piece, too."""
        _, _, number = self._client("s3").head_object(Bucket=BUCKET, Key=name)["ETag"].strip('"').partition("-")
        return int(number or 1)

    def stop(self) -> None:
        """End it, and all that it holds."""
        self._process.terminate()
        self._process.wait(30)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the store has ended"
        try:
            return httpx.get(f"{self.url}/moto-api/data.json").is_success
        except httpx.HTTPError:
            return False

    def _new_user(self) -> tuple[str, str]:
        """A user's id and secret; from now on every request must be signed with one."""
        self.key_id, self.secret = "not", "asked-yet"
        iam = self._client("iam")
        iam.create_user(UserName="rag")
        iam.put_user_policy(UserName="rag", PolicyName="all", PolicyDocument=json.dumps(ALL_OF_S3))
        made = iam.create_access_key(UserName="rag")["AccessKey"]
        httpx.post(f"{self.url}/moto-api/reset-auth", content="0").raise_for_status()
        return made["AccessKeyId"], made["SecretAccessKey"]

    def _client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
        )  # fmt: skip


@contextmanager
def s3(folder: Path) -> Iterator[S3]:
    """A running one, whose log is in `folder`."""
    server = S3(folder / "s3.log")
    try:
        yield server
    finally:
        server.stop()
