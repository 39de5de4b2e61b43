"""What the tokens of known vendors look like: one entry a shape, as data.

Each entry names the rule's source, in words, and an example that is made up and put together from
pieces here. A test runs every example. A pattern is tried where no letter or digit stands before.
"""

from __future__ import annotations

from typing import NamedTuple

_M = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1bCd4fGh7jKm0n" * 5
_H = "0a1b2c3d4e5f6789" * 16
_U = "A1B2C3D4E5F6G7H8" * 8
_L = "a1b2c3d4e5f6g7h8" * 8
_UUID = "0a1b2c3d-4e5f-4a6b-8c7d-0a1b2c3d4e5f"
_UUID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class VendorToken(NamedTuple):
    """One shape: `pattern` matches the token and nothing else; `source` says who documents it."""

    name: str
    pattern: str
    source: str
    example: str


_SCANNING = "GitHub's list of secret scanning patterns"

VENDOR_TOKENS: tuple[VendorToken, ...] = (
    # --- Code hosts and continuous integration ---------------------------------------------------
    VendorToken(
        "GitHub token",
        r"gh[pousr]_[A-Za-z0-9]{16,}+",
        "GitHub, about its authentication tokens: prefixes ghp_ gho_ ghu_ ghs_ ghr_",
        f"ghp_{_M[:36]}",
    ),
    VendorToken(
        "GitHub fine-grained token",
        r"github_pat_\w{16,}+",
        "GitHub, about its authentication tokens: prefix github_pat_",
        f"github_pat_{_M[:22]}_{_M[:59]}",
    ),
    VendorToken(
        "GitLab token",
        r"gl(?:pat|dt|rt|rtr|sa|cbt|ptt|ft|imt|agent|oas|soat|ffct|wt)[-_][\w.-]{16,}+",
        "GitLab, token overview: prefixes glpat- gldt- glrt- glptt- glcbt- glagent- gloas- …",
        f"glrt-{_M[:20]}",
    ),
    VendorToken(
        "GitLab runner registration",
        r"GR1348941[\w-]{16,}+",
        "GitLab, token overview: registration tokens begin with GR1348941",
        f"GR1348941{_M[:20]}",
    ),
    VendorToken(
        "Atlassian token",
        r"AT(?:ATT3|CTT3|STT3|TA(?=[0-9a-f]{32}))[\w=-]{16,}+",
        f"{_SCANNING}: Atlassian API tokens ATATT3, ATCTT3; Trello ATTA",
        f"ATATT3{_M[:60]}",
    ),
    VendorToken(
        "Bitbucket app password",
        r"ATBB[A-Za-z0-9]{24,}+",
        "Atlassian, about app passwords: prefix ATBB",
        f"ATBB{_M[:32]}",
    ),
    VendorToken(
        "CircleCI token",
        r"CCI(?:PAT|PRJ)_[A-Za-z0-9]{8,64}+_[0-9a-f]{20,}+",
        "CircleCI, about API tokens: prefixes CCIPAT_ and CCIPRJ_",
        f"CCIPAT_{_M[:22]}_{_H[:40]}",
    ),
    VendorToken(
        "Buildkite token",
        r"bk(?:ua|aj|at|rt|ct|pt|ps)_[A-Za-z0-9]{32,}+",
        f"{_SCANNING}: Buildkite access tokens bkua_",
        f"bkua_{_H[:40]}",
    ),
    VendorToken(
        "Harness token",
        r"(?:pat|sat)\.[\w-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20}",
        "Harness, about API keys: pat.<account>.<id>.<secret>",
        f"pat.{_M[:22]}.{_H[:24]}.{_M[:20]}",
    ),
    VendorToken(
        "SonarQube token",
        r"sq[apu]_[0-9a-f]{32,}+",
        "SonarQube, about tokens: prefixes squ_ sqp_ sqa_",
        f"sqp_{_H[:40]}",
    ),
    VendorToken(
        "Sourcegraph token",
        r"sgp_(?:[0-9a-f]{16}_|local_)?[0-9a-f]{40}",
        "Sourcegraph, about access tokens: prefix sgp_",
        f"sgp_{_H[:16]}_{_H[:40]}",
    ),
    VendorToken(
        "Snyk token",
        r"snyk_(?:uat|sat)\.[\w.-]{20,}+",
        "Snyk, about service accounts: prefixes snyk_uat. and snyk_sat.",
        f"snyk_uat.{_H[:8]}.{_M[:60]}",
    ),
    VendorToken(
        "Octopus Deploy key",
        r"API-[A-Z0-9]{25,}+",
        "Octopus Deploy, how to create an API key: API- and capitals",
        f"API-{_U[:31]}",
    ),
    # --- Package registries and artefacts --------------------------------------------------------
    VendorToken(
        "npm token",
        r"npm_[A-Za-z0-9]{20,}+",
        "npm, about access tokens: prefix npm_",
        f"npm_{_M[:36]}",
    ),
    VendorToken(
        "PyPI token",
        r"pypi-[\w-]{16,}+",
        "PyPI help: API tokens begin with pypi-",
        f"pypi-AgEIcHlwaS5vcmc{_M[:60]}",
    ),
    VendorToken(
        "RubyGems key",
        r"rubygems_[0-9a-f]{32,}+",
        "RubyGems guides, API key: prefix rubygems_",
        f"rubygems_{_H[:48]}",
    ),
    VendorToken(
        "NuGet key",
        r"oy2[a-z0-9]{43}(?![A-Za-z0-9])",
        f"{_SCANNING}: NuGet API keys are oy2 and 43 lower-case characters",
        f"oy2{_L[:43]}",
    ),
    VendorToken(
        "crates.io token",
        r"cio[A-Za-z0-9]{32}(?![A-Za-z0-9])",
        "crates.io, change of its tokens in 2021: prefix cio",
        f"cio{_M[:32]}",
    ),
    VendorToken(
        "Clojars token",
        r"CLOJARS_[a-z0-9]{40,}+",
        "Clojars, about deploy tokens: prefix CLOJARS_",
        f"CLOJARS_{_L[:60]}",
    ),
    VendorToken(
        "Packagist token",
        r"packagist_[a-z]{3}_[0-9a-f]{40,}+",
        "Private Packagist, about tokens: prefixes packagist_ort_, packagist_uut_ …",
        f"packagist_ort_{_H[:68]}",
    ),
    VendorToken(
        "Docker Hub token",
        r"dckr_[po]at_[\w-]{16,}+",
        "Docker, about personal and organisation access tokens: dckr_pat_, dckr_oat_",
        f"dckr_pat_{_M[:27]}",
    ),
    VendorToken(
        "JFrog key",
        r"AKCp\d?[A-Za-z0-9]{24,}+",
        f"{_SCANNING}: JFrog Platform API keys begin with AKCp",
        f"AKCp8{_M[:68]}",
    ),
    VendorToken(
        "JFrog reference token",
        r"cmVmdGtu[\w=+/-]{24,}+",
        "JFrog, about reference tokens: base64 of reftkn:",
        f"cmVmdGtuOjAx{_M[:52]}",
    ),
    VendorToken(
        "Open VSX token",
        rf"ovsx[pa]_(?:{_UUID_PATTERN}|[\w-]{{32,}}+)",
        "Open VSX, about access tokens: prefix ovsxp_",
        f"ovsxp_{_UUID}",
    ),
    # --- Clouds ----------------------------------------------------------------------------------
    VendorToken(
        "AWS access key id",
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}+",
        "AWS, IAM identifiers: access key ids begin with AKIA, ASIA, ABIA, ACCA",
        f"AKIA{_U[:16]}",
    ),
    VendorToken(
        "AWS session token",
        r"(?:FwoGZXIvYXdz|IQoJb3JpZ2luX2Vj|FQoGZXIvYXdz)[\w+/=%-]{16,}+",
        "AWS STS responses: base64 of a fixed head",
        f"IQoJb3JpZ2luX2Vj{_M[:100]}",
    ),
    VendorToken(
        "AWS Bedrock key",
        r"(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/=]{60,}+",
        "AWS, about Amazon Bedrock API keys: prefixes ABSK and bedrock-api-key-",
        f"ABSK{_M[:110]}",
    ),
    VendorToken(
        "Amazon MWS or login secret",
        rf"amzn(?:\.mws\.{_UUID_PATTERN}|1\.oa2-cs\.v1\.[0-9a-f]{{32,}}+)",
        "Amazon, Marketplace Web Service and Login with Amazon: amzn.mws. and amzn1.oa2-cs.v1.",
        f"amzn.mws.{_UUID}",
    ),
    VendorToken(
        "Google API key",
        r"AIza[\w-]{30,}+",
        "Google Cloud, about API keys: AIza and 35 characters",
        f"AIza{_M[:35]}",
    ),
    VendorToken(
        "Google access token",
        r"ya29\.[\w-]{16,}+",
        "Google, OAuth 2.0 playground and documents: prefix ya29.",
        f"ya29.{_M[:60]}",
    ),
    VendorToken(
        "Google OAuth client secret",
        r"GOCSPX-[\w-]{20,}+",
        "Google, OAuth client credentials: prefix GOCSPX-",
        f"GOCSPX-{_M[:28]}",
    ),
    VendorToken(
        "Google refresh token",
        r"1//0[\w-]{24,}+",
        "Google, OAuth 2.0 for web server applications: prefix 1//0",
        f"1//0{_M[:60]}",
    ),
    VendorToken(
        "Google authorization code",
        r"4/0A[\w-]{30,}+",
        "Google, OAuth 2.0 for web server applications: codes begin with 4/0A",
        f"4/0A{_M[:60]}",
    ),
    VendorToken(
        "Firebase server key",
        r"AAAA[\w-]{7}:APA91b[\w-]{60,}+",
        "Firebase Cloud Messaging, legacy server keys",
        f"AAAA{_M[:7]}:APA91b{_M[:134]}",
    ),
    VendorToken(
        "Azure AD client secret",
        r"[\w~.\-]{3}\dQ~[\w~.\-]{28,}+",
        f"{_SCANNING}: Azure Active Directory application secrets hold 8Q~ at their fourth place",
        f"VhX8Q~{_M[:34]}",
    ),
    VendorToken(
        "Azure storage key",
        r"[A-Za-z0-9+/]{86}==",
        "Azure Storage, about account keys: 512 bits in base64",
        f"{_M[:86]}==",
    ),
    VendorToken(
        "Azure key with a signature",
        r"[\w+/\-]{33,80}?(?:AzFu|AzSe|AzCa|ACDb|AZDO|\+AIoT|\+ASb|\+AEh|\+AMC|\+ASt|\+ACR)"
        r"[\w+/\-]{4,10}+={0,2}",
        "Microsoft Security Utilities: keys of Azure services hold the service's mark",
        f"{_M[:44]}AzFu{_M[:5]}A==",
    ),
    VendorToken(
        "DigitalOcean token",
        r"do[opr]_v1_[0-9a-f]{16,}+",
        "DigitalOcean, about tokens: dop_v1_ doo_v1_ dor_v1_",
        f"dop_v1_{_H[:64]}",
    ),
    VendorToken(
        "Alibaba Cloud key id",
        r"LTAI[A-Za-z0-9]{12,}+",
        f"{_SCANNING}: Alibaba Cloud access key ids begin with LTAI",
        f"LTAI{_M[:20]}",
    ),
    VendorToken(
        "Tencent Cloud secret id",
        r"AKID[A-Za-z0-9]{24,}+",
        "Tencent Cloud, about API keys: secret ids begin with AKID",
        f"AKID{_M[:32]}",
    ),
    VendorToken(
        "Volcengine key id",
        r"AKLT[\w-]{24,}+",
        f"{_SCANNING}: Volcengine access key ids begin with AKLT",
        f"AKLT{_M[:43]}",
    ),
    VendorToken(
        "Baidu Cloud key",
        r"bce-v3/ALTAK-[A-Za-z0-9]{8,40}+/[0-9a-f]{20,}+",
        "Baidu AI Cloud, about API keys: bce-v3/ALTAK-",
        f"bce-v3/ALTAK-{_M[:21]}/{_H[:40]}",
    ),
    VendorToken(
        "Yandex Cloud token",
        r"(?:t1\.[\w-]{16,512}+={0,2}\.[\w-]{60,}+|AQVN[\w-]{32,}+|y[0-3]_[\w-]{40,}+)",
        "Yandex Cloud, about credentials: t1. (IAM), AQVN (API key), y0_ (OAuth)",
        f"AQVN{_M[:36]}",
    ),
    VendorToken(
        "Scaleway key id",
        r"SCW[A-Z0-9]{17}(?![A-Za-z0-9])",
        "Scaleway, about API keys: access keys are SCW and 17 characters",
        f"SCW{_U[:17]}",
    ),
    VendorToken(
        "Heroku key",
        rf"HRKU-(?:{_UUID_PATTERN}|[\w-]{{32,}}+)",
        "Heroku, platform API: tokens begin with HRKU-",
        f"HRKU-{_UUID}",
    ),
    VendorToken(
        "Netlify token",
        r"nf[pcoub]_[A-Za-z0-9]{30,}+",
        f"{_SCANNING}: Netlify tokens begin with nfp_",
        f"nfp_{_M[:36]}",
    ),
    VendorToken(
        "Vercel token",
        r"(?:vc[pkriab]_[A-Za-z0-9]{24,}+|vercel_blob_rw_\w{20,}+)",
        "Vercel, about tokens: vcp_, vck_ …, and vercel_blob_rw_ for a blob store",
        f"vcp_{_M[:56]}",
    ),
    VendorToken(
        "Render key",
        r"rnd_[A-Za-z0-9]{24,}+",
        "Render, about its API: keys begin with rnd_",
        f"rnd_{_M[:32]}",
    ),
    VendorToken(
        "Fly.io token",
        r"(?:fm[12][ar]?_[\w+/=-]{60,}+|fo1_[\w-]{40,}+)",
        f"{_SCANNING}: Fly.io access tokens FlyV1 fm1_, fm2_, fo1_",
        f"fm2_{_M[:120]}",
    ),
    VendorToken(
        "Scalingo token",
        r"tk-us-[\w-]{40,}+",
        "Scalingo, about API tokens: prefix tk-us-",
        f"tk-us-{_M[:48]}",
    ),
    VendorToken(
        "Cloudflare origin key",
        r"v1\.0-[0-9a-f]{16,64}+-[0-9a-f]{60,}+",
        "Cloudflare, about origin CA keys: prefix v1.0-",
        f"v1.0-{_H[:24]}-{_H[:146]}",
    ),
    VendorToken(
        "Tailscale key",
        r"tskey-[a-z]{2,16}-[\w-]{12,}+",
        "Tailscale, about keys: tskey-auth-, tskey-api-, tskey-client- …",
        f"tskey-auth-{_M[:17]}-{_M[:32]}",
    ),
    VendorToken(
        "ngrok token",
        r"(?:cr_)?2[A-Za-z0-9]{26}_[A-Za-z0-9]{20,24}(?!\w)",
        "ngrok, about authtokens: 2, 26 characters, _, 21 characters",
        f"2{_M[:26]}_{_M[:21]}",
    ),
    # --- Secret stores and infrastructure --------------------------------------------------------
    VendorToken(
        "Vault token",
        r"hv[sbr]\.[\w-]{16,}+",
        "HashiCorp Vault, about tokens: hvs. hvb. hvr.",
        f"hvs.{_M[:90]}",
    ),
    VendorToken(
        "Vault token before 1.10",
        r"[sb]\.(?=[A-Za-z]{0,23}\d)(?=[a-z0-9]{0,23}[A-Z])[A-Za-z0-9]{24}(?![\w.])",
        "HashiCorp Vault, about tokens before 1.10: s. and 24 characters",
        f"s.{_M[:24]}",
    ),
    VendorToken(
        "Terraform Cloud token",
        r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}+",
        "HCP Terraform, about API tokens: .atlasv1. in the middle",
        f"{_M[:14]}.atlasv1.{_M[:67]}",
    ),
    VendorToken(
        "Pulumi token",
        r"pul-[0-9a-f]{40}",
        "Pulumi Cloud, about access tokens: prefix pul-",
        f"pul-{_H[:40]}",
    ),
    VendorToken(
        "Doppler token",
        r"dp\.(?:pt|st|ct|sa|said|scim|audit)\.[\w.-]{24,}+",
        "Doppler, about token formats: dp.st. dp.pt. dp.ct. dp.sa. …",
        f"dp.st.prd.{_M[:40]}",
    ),
    VendorToken(
        "Infisical token",
        r"st\.[0-9a-f]{24}\.[0-9a-f]{32}(?:\.[0-9a-f]{32})?",
        "Infisical, about service tokens: st.<id>.<secret>.<key>",
        f"st.{_H[:24]}.{_H[:32]}.{_H[:32]}",
    ),
    VendorToken(
        "1Password service token",
        r"ops_eyJ[\w+/=-]{60,}+",
        "1Password, about service accounts: prefix ops_",
        f"ops_eyJ{_M[:120]}",
    ),
    VendorToken(
        "1Password secret key",
        r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}",
        "1Password, about the Secret Key: A3-, groups of capitals",
        f"A3-{_U[:6]}-{_U[:6]}-{_U[:5]}-{_U[:5]}-{_U[:5]}-{_U[:5]}",
    ),
    VendorToken(
        "age identity",
        r"AGE-SECRET-KEY-1[A-Z0-9]{24,}+",
        "age, its file format: AGE-SECRET-KEY-1 in Bech32",
        f"AGE-SECRET-KEY-1{_U[:58]}",
    ),
    VendorToken(
        "RFC 8959 secret token",
        r"secret-token:[\w.~%+\-]{6,}+",
        "RFC 8959: the secret-token URI scheme",
        f"secret-token:{_M[:20]}",
    ),
    VendorToken(
        "private key in base64",
        r"(?:MII[A-Za-z0-9+/=]{120,}+"
        r"|LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0Eg|BFQyBQ|BPUEVOU1NI|BFTkNSWVBU|BEU0Eg|BQR1Ag)"
        r"[\w+/=]*+)",
        "RFC 7468: the DER body of a key, and a whole PEM file in base64, as kubeconfig has it",
        f"LS0tLS1CRUdJTiBSU0Eg{_M[:120]}",
    ),
    # --- Machine learning ------------------------------------------------------------------------
    VendorToken(
        "key that begins with sk-",
        r"sk-(?!ecdsa-|ssh-)(?=[\w-]{0,64}\d)[\w-]{16,}+",
        "OpenAI, Anthropic, DeepSeek, OpenRouter and others: secret keys begin with sk-",
        f"sk-ant-api03-{_M[:80]}",
    ),
    VendorToken(
        "OpenAI session",
        r"sess-[A-Za-z0-9]{36,}+",
        "OpenAI, dashboard sessions: prefix sess-",
        f"sess-{_M[:40]}",
    ),
    VendorToken(
        "Hugging Face token",
        r"(?:hf_[A-Za-z0-9]{16,}+|api_org_[A-Za-z0-9]{30,}+)",
        "Hugging Face, about user access tokens: prefix hf_",
        f"hf_{_M[:34]}",
    ),
    VendorToken(
        "Replicate token",
        r"r8_[A-Za-z0-9]{30,}+",
        "Replicate, about API tokens: prefix r8_",
        f"r8_{_M[:37]}",
    ),
    VendorToken(
        "Groq key", r"gsk_[A-Za-z0-9]{32,}+", "Groq, quickstart: prefix gsk_", f"gsk_{_M[:52]}"
    ),
    VendorToken(
        "xAI key", r"xai-[A-Za-z0-9]{40,}+", "xAI, quickstart: prefix xai-", f"xai-{_M[:80]}"
    ),
    VendorToken(
        "Perplexity key",
        r"pplx-[A-Za-z0-9]{32,}+",
        "Perplexity, quickstart: prefix pplx-",
        f"pplx-{_M[:48]}",
    ),
    VendorToken(
        "NVIDIA key",
        r"nvapi-[\w-]{40,}+",
        "NVIDIA NIM, about API keys: prefix nvapi-",
        f"nvapi-{_M[:64]}",
    ),
    VendorToken(
        "LangSmith key",
        r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}",
        f"{_SCANNING}: LangChain lsv2_pt_, lsv2_sk_",
        f"lsv2_pt_{_H[:32]}_{_H[:10]}",
    ),
    VendorToken(
        "Langfuse key",
        rf"[sp]k-lf-{_UUID_PATTERN}",
        "Langfuse, quickstart: sk-lf-, pk-lf-",
        f"sk-lf-{_UUID}",
    ),
    VendorToken(
        "Pinecone key",
        r"pcsk_\w{40,}+",
        "Pinecone, about API keys: prefix pcsk_",
        f"pcsk_{_M[:6]}_{_M[:63]}",
    ),
    VendorToken(
        "Jina key", r"jina_[\w-]{40,}+", "Jina AI, about API keys: prefix jina_", f"jina_{_M[:60]}"
    ),
    VendorToken(
        "Tavily key",
        r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{20,}+",
        "Tavily, quickstart: prefix tvly-",
        f"tvly-{_M[:32]}",
    ),
    VendorToken(
        "Firecrawl key", r"fc-[0-9a-f]{32}", "Firecrawl, quickstart: prefix fc-", f"fc-{_H[:32]}"
    ),
    VendorToken("E2B key", r"e2b_[0-9a-f]{32,}+", "E2B, quickstart: prefix e2b_", f"e2b_{_H[:40]}"),
    VendorToken(
        "ElevenLabs key",
        r"sk_[0-9a-f]{48}",
        f"{_SCANNING}: ElevenLabs sk_ and 48 hexadecimal digits",
        f"sk_{_H[:48]}",
    ),
    VendorToken(
        "Voyage key", r"pa-[\w-]{40,48}(?![\w-])", "Voyage AI, about keys: pa-", f"pa-{_M[:43]}"
    ),
    VendorToken(
        "Together key",
        r"tgp_v1_[\w-]{32,}+",
        "Together AI, about keys: prefix tgp_v1_",
        f"tgp_v1_{_M[:43]}",
    ),
    VendorToken(
        "Fireworks key", r"fw_[A-Za-z0-9]{22,24}(?!\w)", "Fireworks AI, keys: fw_", f"fw_{_M[:24]}"
    ),
    VendorToken(
        "Cerebras key", r"csk-[a-z0-9]{40,}+", "Cerebras, quickstart: csk-", f"csk-{_L[:48]}"
    ),
    VendorToken(
        "RunPod key", r"rpa_[A-Z0-9a-z]{32,}+", "RunPod, about keys: rpa_", f"rpa_{_U[:46]}"
    ),
    VendorToken(
        "Kaggle token", r"KGAT_[0-9a-f]{32}", "Kaggle, about API tokens: KGAT_", f"KGAT_{_H[:32]}"
    ),
    VendorToken(
        "Weights & Biases key",
        r"wandb_v1_\w{40,}+",
        "Weights & Biases, about API keys: wandb_v1_",
        f"wandb_v1_{_M[:77]}",
    ),
    VendorToken(
        "Databricks token",
        r"(?:dapi|dose|dkea|dsapi)[0-9a-f]{32}(?:-\d{1,2})?",
        "Databricks, about personal access tokens: dapi and 32 hexadecimal digits",
        f"dapi{_H[:32]}-2",
    ),
    # --- Databases and data ----------------------------------------------------------------------
    VendorToken(
        "Supabase key",
        r"(?:sb_secret_[\w-]{20,}+|sbp_(?:oauth_|v0_)?[0-9a-f]{32,}+)",
        "Supabase, about API keys: sb_secret_ and sbp_",
        f"sb_secret_{_M[:31]}",
    ),
    VendorToken(
        "PlanetScale secret",
        r"pscale_(?:pw|tkn|oauth|app_secret)_[\w.-]{24,}+",
        "PlanetScale, about passwords and service tokens: pscale_pw_, pscale_tkn_, pscale_oauth_",
        f"pscale_pw_{_M[:43]}",
    ),
    VendorToken(
        "Neon secret",
        r"(?:napi_[a-z0-9]{40,}+|npg_[A-Za-z0-9]{10,}+)",
        f"{_SCANNING}: Neon napi_, and npg_ for passwords of roles",
        f"napi_{_L[:64]}",
    ),
    VendorToken(
        "Aiven secret",
        r"(?:AVNS_[\w-]{8,}+|aivenv1_[\w+/=-]{24,}+)",
        "Aiven: passwords AVNS_ (also DigitalOcean's databases), tokens aivenv1_",
        f"AVNS_{_M[:19]}",
    ),
    VendorToken(
        "MongoDB Atlas secret",
        r"mdb_sa_sk_[\w-]{24,}+",
        "MongoDB Atlas, about service accounts: mdb_sa_sk_",
        f"mdb_sa_sk_{_M[:40]}",
    ),
    VendorToken(
        "CockroachDB Cloud key",
        r"CCDB1_[A-Za-z0-9]{22}_[A-Za-z0-9]{40}",
        f"{_SCANNING}: Cockroach Labs CCDB1_",
        f"CCDB1_{_M[:22]}_{_M[:40]}",
    ),
    VendorToken(
        "dbt token",
        r"dbt[cu]_[\w+/=-]{32,}+",
        "dbt, about personal and service tokens: dbtu_, dbtc_",
        f"dbtu_{_M[:50]}",
    ),
    VendorToken(
        "Prefect key",
        r"pn[ub]_[A-Za-z0-9]{32,}+",
        f"{_SCANNING}: Prefect pnu_, pnb_",
        f"pnu_{_M[:36]}",
    ),
    VendorToken(
        "MaxMind key",
        r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk",
        "MaxMind, about licence keys: suffix _mmk",
        f"{_M[:6]}_{_M[:29]}_mmk",
    ),
    VendorToken(
        "Elastic Cloud key",
        r"essu_[\w=+/-]{40,}+",
        "Elastic Cloud, about API keys: prefix essu_",
        f"essu_{_M[:60]}",
    ),
    VendorToken(
        "Airtable token",
        r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}",
        "Airtable, about personal access tokens: pat, a dot, 64 hexadecimal digits",
        f"pat{_M[:14]}.{_H[:64]}",
    ),
    # --- Messages and mail -----------------------------------------------------------------------
    VendorToken(
        "Slack token",
        r"(?:xoxe\.)?xox[a-z](?:-|e\.)[\w.-]{10,}+|xapp-[\w-]{10,}+",
        "Slack, about token types: xoxb- xoxp- xoxe. xapp- …",
        f"xoxb-123456789012-{_M[:24]}",
    ),
    VendorToken(
        "Discord token",
        r"(?:[MNO][\w-]{22,27}+\.[\w-]{6}\.[\w-]{27,}+|mfa\.[\w-]{60,}+)",
        "Discord, about bot tokens: base64 of the id, a time, a signature",
        f"M{_M[:23]}.{_M[:6]}.{_M[:27]}",
    ),
    VendorToken(
        "Telegram bot token",
        r"(?:bot)?\d{8,10}:[\w-]{35}(?![\w-])",
        "Telegram, about bots: <id>:<35 characters>",
        f"123456789:{_M[:35]}",
    ),
    VendorToken(
        "Twilio SID or key",
        r"(?:SK|AC)[0-9a-f]{32}(?![0-9a-f])",
        "Twilio, about API keys and SIDs: SK, AC and 32 hexadecimal digits",
        f"SK{_H[:32]}",
    ),
    VendorToken(
        "SendGrid key",
        r"SG\.[\w-]{12,128}+\.[\w-]{12,}+",
        "SendGrid, about API keys: SG.<id>.<secret>",
        f"SG.{_M[:22]}.{_M[:43]}",
    ),
    VendorToken(
        "Mailgun key",
        r"(?:pub)?key-[0-9a-f]{32}|[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?![\w-])",
        "Mailgun, about API keys: key-<hex>, or 32, 8 and 8 hexadecimal digits",
        f"key-{_H[:32]}",
    ),
    VendorToken(
        "Mailchimp key",
        r"[0-9a-f]{32}-us\d{1,2}",
        "Mailchimp, about API keys: 32 hexadecimal digits and the data centre",
        f"{_H[:32]}-us14",
    ),
    VendorToken(
        "Mandrill key",
        r"md-(?=[\w-]{0,21}\d)[A-Za-z0-9_-]{22}(?![\w-])",
        "Mailchimp Transactional, about keys: md- and 22 characters",
        f"md-{_M[:22]}",
    ),
    VendorToken(
        "Brevo key",
        r"x(?:keysib|smtpsib)-[0-9a-f]{32,}+-[A-Za-z0-9]{12,}+",
        "Brevo, about API keys: xkeysib-, xsmtpsib-",
        f"xkeysib-{_H[:64]}-{_M[:16]}",
    ),
    VendorToken(
        "Resend key",
        r"re_[A-Za-z0-9]{6,12}_[A-Za-z0-9]{20,}+",
        "Resend, about API keys: prefix re_",
        f"re_{_M[:8]}_{_M[:24]}",
    ),
    # --- Payments and shops ----------------------------------------------------------------------
    VendorToken(
        "Stripe key",
        r"(?:sk|rk|pk)_(?:live|test|prod)_\w{8,}+|whsec_[\w+/=]{8,}+",
        "Stripe, about API keys: sk_live_ rk_live_ pk_live_ and their test forms; whsec_",
        f"sk_live_{_M[:24]}",
    ),
    VendorToken(
        "Square token",
        r"(?:EAAA[\w-]{40,}+|sq0(?:atp|csp|idp)-[\w-]{20,}+)",
        "Square, about access tokens: EAAA, sq0atp-, sq0csp-",
        f"EAAA{_M[:60]}",
    ),
    VendorToken(
        "Shopify token",
        r"shp(?:at|ca|pa|ss|ua|tka)_\w{16,}+",
        "Shopify, about access tokens: shpat_ shpca_ shppa_ shpss_ …",
        f"shpat_{_H[:32]}",
    ),
    VendorToken(
        "Braintree token",
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}",
        "PayPal Braintree, about access tokens",
        f"access_token$production${_L[:16]}${_H[:32]}",
    ),
    VendorToken(
        "Plaid token",
        rf"access-(?:sandbox|development|production)-{_UUID_PATTERN}",
        "Plaid, about access tokens",
        f"access-production-{_UUID}",
    ),
    VendorToken(
        "Razorpay key id",
        r"rzp_(?:live|test)_[A-Za-z0-9]{14}",
        "Razorpay, about API keys: rzp_live_",
        f"rzp_live_{_M[:14]}",
    ),
    VendorToken(
        "Toss or Mollie key",
        r"(?:live|test)_(?:g?sk_|g?ck_|pub_)?[A-Za-z0-9]{28,}+",
        "Toss Payments, Mollie and Lob, about API keys: live_, live_sk_, live_gsk_",
        f"live_sk_{_M[:32]}",
    ),
    VendorToken(
        "Flutterwave key",
        r"FLW(?:SECK|PUBK)(?:_TEST)?-[0-9a-zA-Z]{12,40}+-X",
        "Flutterwave, about API keys",
        f"FLWSECK-{_H[:32]}-X",
    ),
    VendorToken(
        "Paddle key",
        r"pdl_(?:live|sdbx)_apikey_\w{30,}+",
        "Paddle, about API keys",
        f"pdl_live_apikey_{_L[:26]}_{_M[:22]}_{_M[:3]}",
    ),
    VendorToken(
        "EasyPost key", r"EZ[AT]K[A-Za-z0-9]{50,}+", "EasyPost, about API keys", f"EZAK{_M[:54]}"
    ),
    VendorToken(
        "Shippo token",
        r"shippo_(?:live|test)_[0-9a-f]{32,}+",
        "Shippo, about tokens",
        f"shippo_live_{_H[:40]}",
    ),
    VendorToken(
        "Duffel token",
        r"duffel_(?:live|test)_[\w-]{32,}+",
        "Duffel, about tokens",
        f"duffel_live_{_M[:43]}",
    ),
    VendorToken(
        "Polar token",
        r"polar_(?:oat|pat|at_[a-z])_[A-Za-z0-9]{30,}+",
        "Polar, about access tokens",
        f"polar_oat_{_M[:43]}",
    ),
    # --- Work, content and identity --------------------------------------------------------------
    VendorToken(
        "Notion token",
        r"(?:secret_[A-Za-z0-9]{40,}+|ntn_[A-Za-z0-9]{36,}+)",
        "Notion, about integrations: secret_, and ntn_ since 2024",
        f"secret_{_M[:43]}",
    ),
    VendorToken(
        "Linear key",
        r"lin_(?:api|oauth|wh)_[A-Za-z0-9]{30,}+",
        "Linear, about API keys: lin_api_, lin_oauth_",
        f"lin_api_{_M[:40]}",
    ),
    VendorToken(
        "Asana token",
        r"\d/\d{12,20}(?:/\d{8,20})?:[0-9a-f]{32}",
        "Asana, about personal access tokens: <n>/<id>:<hex>",
        f"1/1200000000000001:{_H[:32]}",
    ),
    VendorToken(
        "ClickUp token",
        r"pk_\d{4,12}_[A-Z0-9]{32}",
        "ClickUp, about tokens",
        f"pk_12345678_{_U[:32]}",
    ),
    VendorToken(
        "Typeform token", r"tfp_[\w.=-]{40,}+", "Typeform: tfp_", f"tfp_{_M[:44]}_{_M[:14]}"
    ),
    VendorToken(
        "Figma token",
        r"fig[dourh]_[\w-]{24,}+",
        f"{_SCANNING}: Figma personal access tokens begin with figd_",
        f"figd_{_M[:40]}",
    ),
    VendorToken(
        "Dropbox token",
        r"sl\.(?:u\.)?[\w-]{60,}+",
        "Dropbox, about short-lived access tokens: sl.",
        f"sl.u.{_M[:130]}",
    ),
    VendorToken(
        "Contentful token",
        r"CFPAT-[\w-]{30,}+",
        "Contentful, about personal access tokens: CFPAT-",
        f"CFPAT-{_M[:43]}",
    ),
    VendorToken(
        "HubSpot token",
        rf"pat-[a-z]{{2}}\d{{1,2}}-{_UUID_PATTERN}",
        "HubSpot, about private apps: pat-<region>-<uuid>",
        f"pat-na1-{_UUID}",
    ),
    VendorToken(
        "Salesforce session",
        r"00D[A-Za-z0-9]{12,15}+![\w.]{40,}+",
        "Salesforce, session ids: the organisation's id, !, the session",
        f"00D{_M[:12]}!{_M[:80]}",
    ),
    VendorToken(
        "Intercom token",
        r"dG9rO[A-Za-z0-9+/=_]{30,}+",
        "Intercom, about access tokens: base64 of tok:",
        f"dG9rO{_M[:55]}",
    ),
    VendorToken(
        "Postman key",
        r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
        "Postman, about API keys: PMAK-",
        f"PMAK-{_H[:24]}-{_H[:34]}",
    ),
    VendorToken(
        "RapidAPI key",
        r"[0-9a-f]{10}msh[0-9a-f]{12,20}p1[0-9a-f]{6}jsn[0-9a-f]{10,14}",
        "RapidAPI, about keys: msh, p1 and jsn inside",
        f"{_H[:10]}msh{_H[:15]}p1{_H[:6]}jsn{_H[:12]}",
    ),
    VendorToken(
        "ReadMe key", r"rdme_[a-z0-9]{60,}+", "ReadMe, about API keys: rdme_", f"rdme_{_L[:70]}"
    ),
    VendorToken(
        "Frame.io token", r"fio-u-[\w-]{50,}+", "Frame.io, about tokens: fio-u-", f"fio-u-{_M[:64]}"
    ),
    VendorToken(
        "Adafruit IO key",
        r"aio_[A-Za-z0-9]{28}",
        "Adafruit IO, about keys: aio_",
        f"aio_{_M[:28]}",
    ),
    VendorToken(
        "WakaTime key", rf"waka_(?:tok_|sec_)?{_UUID_PATTERN}", "WakaTime: waka_", f"waka_{_UUID}"
    ),
    VendorToken("Lichess token", r"lip_[A-Za-z0-9]{20}", "Lichess: lip_", f"lip_{_M[:20]}"),
    VendorToken(
        "Stytch secret",
        r"secret-(?:live|test)-[\w=-]{30,}+",
        "Stytch, about secrets: secret-live-",
        f"secret-live-{_M[:36]}",
    ),
    VendorToken(
        "Okta token",
        r"00(?=[A-Za-z_-]{0,39}\d)(?=[a-z0-9_-]{0,39}[A-Z])(?=[A-Z0-9_-]{0,39}[a-z])[\w-]{40}(?![\w-])",
        "Okta, about API tokens: 00 and 40 characters",
        f"00{_M[:40]}",
    ),
    VendorToken(
        "Twitter bearer",
        r"A{20,}+[A-Za-z0-9%]{60,}+",
        "X, about app-only authentication: a run of A, then base64 with percent signs",
        f"{'A' * 22}{_M[:60]}%3D{_M[:50]}",
    ),
    VendorToken(
        "Facebook or Instagram token",
        r"(?:EAA[A-Za-z0-9]{80,}+|IG(?:QV|AA)[\w-]{80,}+)",
        "Meta, about access tokens: EAA; Instagram IGQV, IGAA",
        f"EAA{_M[:120]}",
    ),
    VendorToken("Pinterest token", r"pina_[\w-]{40,}+", "Pinterest: pina_", f"pina_{_M[:80]}"),
    # --- Watching --------------------------------------------------------------------------------
    VendorToken(
        "Grafana token",
        r"(?:glc_[\w+/=-]{24,}+|glsa_[A-Za-z0-9]{24,40}+_[0-9a-f]{8}|eyJrIjoi[\w+/=-]{40,}+)",
        "Grafana, about API keys: glc_, glsa_, and the older base64 form",
        f"glsa_{_M[:32]}_{_H[:8]}",
    ),
    VendorToken(
        "Sentry token",
        r"sntry[sua]_[\w+/=]{16,}+",
        "Sentry, about auth tokens: sntrys_, sntryu_",
        f"sntryu_{_H[:64]}",
    ),
    VendorToken(
        "New Relic key",
        r"NR(?:AK|AA|II|JS|RA|IQ)-[\w-]{19,}+|[0-9a-f]{32,36}(?:FFFF)?NRAL",
        "New Relic, about API keys: NRAK-, NRII-, NRAL at the end",
        f"NRAK-{_U[:27]}",
    ),
    VendorToken(
        "Dynatrace token",
        r"dt0[a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{60,}+",
        "Dynatrace, about access tokens: dt0c01.<id>.<secret>",
        f"dt0c01.{_U[:24]}.{_U[:64]}",
    ),
    VendorToken(
        "Honeycomb key",
        r"hc[a-z]i[kc]_[a-z0-9]{40,}+",
        "Honeycomb, about API keys: hcaik_",
        f"hcaik_{_L[:58]}",
    ),
    VendorToken(
        "PostHog key",
        r"ph[csxr]_[A-Za-z0-9]{36,}+",
        "PostHog, about API keys: phc_, phx_",
        f"phx_{_M[:43]}",
    ),
    VendorToken(
        "LaunchDarkly key",
        rf"(?:api|sdk|mob)-{_UUID_PATTERN}",
        "LaunchDarkly, about keys: sdk-<uuid>, api-<uuid>",
        f"sdk-{_UUID}",
    ),
    VendorToken(
        "DevCycle key",
        r"dvc_(?:server|mobile|client)_\w{30,}+",
        "DevCycle, about SDK keys",
        f"dvc_server_{_H[:36]}",
    ),
    VendorToken(
        "UptimeRobot key",
        r"[um]r?\d{6,10}-[0-9a-f]{24,}+",
        "UptimeRobot, about its API: u<account>-<hex>",
        f"u1234567-{_H[:24]}",
    ),
    VendorToken("Checkly key", r"cu_[0-9a-f]{32}", "Checkly, about API keys: cu_", f"cu_{_H[:32]}"),
    VendorToken(
        "Segment token", r"sgp_[A-Za-z0-9]{64}", f"{_SCANNING}: Segment sgp_", f"sgp_{_M[:64]}"
    ),
    VendorToken(
        "Rootly token", r"rootly_[0-9a-f]{60,}+", f"{_SCANNING}: Rootly", f"rootly_{_H[:64]}"
    ),
    VendorToken(
        "Inngest key",
        r"signkey-(?:prod|test|branch)-[0-9a-f]{32,}+",
        "Inngest, about signing keys",
        f"signkey-prod-{_H[:64]}",
    ),
    VendorToken(
        "Trigger.dev key",
        r"tr_(?:prod|dev|stg|preview|pat)_[A-Za-z0-9]{16,}+",
        "Trigger.dev, about API keys",
        f"tr_prod_{_M[:20]}",
    ),
    VendorToken(
        "Zuplo key", r"zpka_[0-9a-f]{32}_[0-9a-f]{8}", "Zuplo: zpka_", f"zpka_{_H[:32]}_{_H[:8]}"
    ),
    VendorToken(
        "Defined key",
        r"dnkey-[\w=-]{26}-[\w=-]{40,}+",
        "Defined: dnkey-",
        f"dnkey-{_L[:26]}-{_L[:52]}",
    ),
    VendorToken(
        "Temporal key", r"tmprl_[\w-]{40,}+", "Temporal Cloud, API keys: tmprl_", f"tmprl_{_M[:60]}"
    ),
    VendorToken(
        "Anyscale key", r"esecret_[a-zA-Z0-9]{20,}+", "Anyscale: esecret_", f"esecret_{_L[:26]}"
    ),
    # --- Hashes of passwords: they are as good as passwords to who has time ----------------------
    VendorToken(
        "password hash of crypt",
        r"\$(?:2[abxy]?\$\d{1,2}\$[./A-Za-z0-9]{50,}+|(?:[156y]|apr1|md5|sha1|7|gy)\$"
        r"[^\s:'\"<>]{12,}+|argon2(?:id|i|d)\$[^\s:'\"<>]{24,}+|scrypt\$[^\s:'\"<>]{24,}+"
        r"|pbkdf2(?:-sha\d{1,3})?\$[^\s:'\"<>]{24,}+)",
        "crypt(5), and the PHC string format",
        f"$2b$12${_M[:53]}",
    ),
    VendorToken(
        "password hash of a framework",
        r"(?:pbkdf2_sha\d{1,3}|pbkdf2:sha\d{1,3}|scrypt:\d{1,6}:\d:\d|bcrypt_sha256|argon2)"
        r"[:$][^\s'\"<>]{24,}+",
        "Django, about password storage, and Werkzeug",
        f"pbkdf2_sha256$600000${_M[:22]}${_M[:43]}=",
    ),
    VendorToken(
        "password hash of LDAP or PostgreSQL",
        r"\{(?:SSHA|SHA|SMD5|MD5|CRYPT|SSHA256|SSHA512|PBKDF2-SHA\d{3})\}[\w+/=$.]{16,}+"
        r"|SCRAM-SHA-(?:1|256)\$\d{3,7}:[\w+/=:$]{40,}+",
        "RFC 2307 and OpenLDAP; PostgreSQL, pg_authid",
        f"{{SSHA}}{_M[:32]}",
    ),
)


class SecretAddress(NamedTuple):
    """An address that opens a door: group 1 of `pattern`, on lower-cased text, is the secret."""

    name: str
    hints: str
    pattern: str
    source: str
    example: str


SECRET_ADDRESSES: tuple[SecretAddress, ...] = (
    SecretAddress(
        "Slack webhook",
        "hooks.slack /services/t",
        r"hooks\.slack(?:-gov)?\.com/\w{1,16}/([\w/-]++)|/services/(t\w{5,16}+/b\w{5,16}+/\w{10,}+)",
        "Slack, about incoming webhooks and workflow triggers",
        f"https://hooks.slack.com/services/T0A1B2C3D/B0A1B2C3D/{_M[:24]}",
    ),
    SecretAddress(
        "Discord webhook",
        "webhooks/",
        r"/(?:api/)?(?:v\d{1,2}/)?webhooks/\d{1,32}/([\w-]{8,}+)",
        "Discord, about webhooks: /api/webhooks/<id>/<token>, also with a version",
        f"https://discord.com/api/v10/webhooks/708426943650173865/{_M[:68]}",
    ),
    SecretAddress(
        "Teams webhook",
        "/webhook",
        r"/webhookb2/([^\s\"'<>]++)|outlook\.office(?:365)?\.com/webhook/([^\s\"'<>]++)",
        "Microsoft Teams, about incoming webhooks",
        f"https://school.webhook.office.com/webhookb2/{_UUID}@{_UUID}/IncomingWebhook/{_H[:32]}/{_UUID}",
    ),
    SecretAddress(
        "Google Chat webhook",
        "chat.googleapis",
        r"chat\.googleapis\.com/v\d/spaces/[\w-]{1,40}/messages\?([^\s\"'<>]++)",
        "Google Chat, about incoming webhooks: key and token in the query",
        f"https://chat.googleapis.com/v1/spaces/AAAA0a1b2c3/messages?key={_M[:39]}&token={_M[:43]}",
    ),
    SecretAddress(
        "automation webhook",
        "hook integration heartbeat hc-ping healthchecks cronitor loggly ifttt incoming deploy"
        " notify launchpad /input",
        r"(?:hooks\.zapier\.com/hooks/(?:catch|standard)|hook\.[\w.-]{0,32}make\.com"
        r"|hook\.integromat\.com|connect\.pabbly\.com/workflow/sendwebhookdata"
        r"|api\.netlify\.com/build_hooks|api\.vercel\.com/v1/integrations/deploy"
        r"|pages/webhooks/deploy_hooks|hook\.dooray\.com/services|wh\.jandi\.com/connect-api/webhook"
        r"|api\.flock\.com/hooks/sendmessage|webexapis\.com/v1/webhooks/incoming"
        r"|integrations\.zoom\.us/chat/webhooks/incomingwebhook|(?:hc-ping|ping\.healthchecks)\.(?:com|io)"
        r"|uptime\.betterstack\.com/api/v1/heartbeat|betteruptime\.com/api/v1/heartbeat"
        r"|cronitor\.link(?:/p)?|events\.pagerduty\.com/integration|alert\.victorops\.com/integrations/generic/\d{1,16}/alert"
        r"|logs-\d{2}\.loggly\.com/(?:inputs|bulk)|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook"
        r"|hooks\.chime\.aws/incomingwebhooks|api\.cloudflare\.com/client/v4/pages/webhooks/deploy_hooks"
        r"|hooks\.airtable\.com/workflows/v1/genericwebhook|teamwork\.com/launchpad|api\.twist\.com/api/v3/integration_incoming"
        r"|datadoghq\.com/v\d/input|datadoghq\.eu/v\d/input|notify\.run|maker\.ifttt\.com/trigger/[\w-]{1,64}/(?:json/)?with/key)/([\w./@%-]{6,}+)",
        "Zapier, Make, Netlify, Vercel, JANDI, Dooray, Webex, Zoom, Healthchecks, PagerDuty, IFTTT "
        "and others: each vendor's page on incoming hooks",
        f"https://hooks.zapier.com/hooks/catch/1234567/{_L[:7]}/",
    ),
    SecretAddress(
        "hook of a server of one's own",
        "hook incoming/",
        r"/(?:hooks?|webhooks?|build_hooks|deploy_hooks|incoming)/"
        r"(?!\d{6,20}+/)((?=[a-z_-]{0,39}\d)(?:[\w-]{1,40}/)?[\w-]{16,}+)",
        "Mattermost, Rocket.Chat, Gitea, n8n and others: /hooks/<secret>",
        f"https://mm.example.org/hooks/{_L[:26]}",
    ),
    SecretAddress(
        "Telegram bot address",
        "api.telegram",
        r"api\.telegram\.org/(?:file/)?bot([^/\s]{8,}+)",
        "Telegram, Bot API: /bot<token>/method",
        f"https://api.telegram.org/bot123456789:{_M[:35]}/sendMessage",
    ),
    SecretAddress(
        "key in the path of a data API",
        "/json /xml /xls",
        r"://(?:[\w.-]{1,64}openapi|openapi|swopenapi|ecos|api|data|open|www|openapi1)?[\w.-]{1,64}(?::\d{2,5})?/"
        r"(?:[\w-]{1,32}/){0,3}?((?=[a-z_-]{0,40}\d)(?=[\d_-]{0,40}[a-z])[a-z0-9_-]{16,80})"
        r"(?:/[\w-]{1,32})?/(?:json|xml|jsonp|xls|xmlf)(?:/|\b)",
        "Seoul Open Data, Bank of Korea ECOS and the food safety API: key, then the format",
        f"http://openapi.seoul.go.kr:8088/{_H[:30]}/json/SchoolInfo/1/5/",
    ),
    SecretAddress(
        "key in the path of a node or rate API",
        "infura alchemy quiknode getblock exchangerate vworld ankr darksky chainstack blastapi"
        " drpc",
        r"(?:infura\.io/(?:ws/)?v3|alchemy\.com/v2|alchemyapi\.io/v2|quiknode\.pro|getblock\.io"
        r"|exchangerate-api\.com/v6|api\.vworld\.kr/req/wm(?:t)?s/[\d.]{1,8}|ankr\.com/[a-z_]{1,24}"
        r"|api\.darksky\.net/forecast|chainstack\.com|blastapi\.io|drpc\.org/[a-z]{1,24})/([\w-]{16,}+)",
        "Infura, Alchemy, QuickNode, ExchangeRate-API, V-World: the key is a part of the path",
        f"https://mainnet.infura.io/v3/{_H[:32]}",
    ),
)

APPRISE_SCHEMES = (
    "discord slack tgram pover mmost mmosts rocket rockets gotify gotifys msteams ryver"
    " zulip ifttt pushed pbul prowl join simplepush sns twilio flock guilded line opsgenie"
    " pagerduty pagertree spontit strmlabs sinch threema webexteams wxteams dingtalk"
    " feishu lark bark mailgun sendgrid resend brevo sparkpost signl4 vonage msg91 msgbird"
    " kumulos notifico office365 o365 workflow workflows ntfy ntfys matrix matrixs hassio"
    " hassios pushdeer pushme pushsafer psafer schan sfr streamlabs voipms whatsapp"
    " wecombot ncloud nclouds ses"
)
"""Schemes of Apprise's addresses: tokens stand where a host stands elsewhere."""
