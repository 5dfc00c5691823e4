"""One way to reach an S3-compatible store, said to each of the libraries."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pyarrow.fs as pafs

__all__ = ["Access", "access_of", "bucket_files", "storage_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach the store; None leaves it to each library."""

    endpoint: str | None
    region: str
    key: str | None
    secret: str | None
    token: str | None


def access_of(
    endpoint: str | None, region: str | None, key: str | None, secret: str | None
) -> Access:
    """One answer for both libraries: each by itself reads other variables.

    ValueError where the endpoint is no URL.
    """
    seen = os.environ.get
    endpoint = endpoint or seen("AWS_ENDPOINT_URL_S3") or seen("AWS_ENDPOINT_URL")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise ValueError(f"{endpoint!r} is no URL such as https://store:9000")
    token = None
    if key is None and secret is None:
        key, secret = seen("AWS_ACCESS_KEY_ID"), seen("AWS_SECRET_ACCESS_KEY")
        token = seen("AWS_SESSION_TOKEN")
    return Access(
        endpoint=endpoint or None,
        region=region
        or seen("AWS_REGION")
        or seen("AWS_DEFAULT_REGION")
        or "us-east-1",
        key=key,
        secret=secret,
        token=token,
    )


def storage_options(access: Access) -> dict[str, str]:
    """As deltalake, polars and others of their family take it."""
    named = {
        "aws_endpoint_url": access.endpoint,
        "aws_region": access.region,
        "aws_access_key_id": access.key,
        "aws_secret_access_key": access.secret,
        "aws_session_token": access.token,
    }
    options = {name: value for name, value in named.items() if value}
    plain = access.endpoint is not None and access.endpoint.startswith("http://")
    return {
        **options,
        "aws_allow_http": str(plain).lower(),
        # The variable of this name could switch it off, and with it all safety.
        "aws_conditional_put": "etag",
    }


def bucket_files(access: Access) -> pafs.S3FileSystem:
    """As Arrow sees all buckets."""
    scheme, _, host = (access.endpoint or "").rpartition("://")
    return pafs.S3FileSystem(
        access_key=access.key,
        secret_key=access.secret,
        session_token=access.token,
        region=access.region,
        scheme=scheme or "https",
        endpoint_override=host.rstrip("/") or None,
        connect_timeout=5,
        request_timeout=60,
        allow_delayed_open=True,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=3),
    )
