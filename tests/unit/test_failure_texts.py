"""Failure texts of public threads and of real tools, and their siblings of the same kinds.

Each text is read twice: as an exception's, and as the end of a command's stderr.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runguard._exec.failure import failure_of
from runguard._exec.result import CommandResult, Output
from runguard._failure.classify import classify
from runguard._failure.text_evidence import status_in
from runguard._failure.text_timeouts import timeout_in

if TYPE_CHECKING:
    from runguard._models import Failure

CASES = json.loads(Path(__file__).with_name("cases").joinpath("failure_texts.json").read_text())


def raised(text: str) -> Failure:
    return classify(Exception(text), clean=str)


def printed(text: str, exit_code: int = 1) -> Failure:
    words = f"exit code {exit_code}"
    stderr = text.encode()

    def clean(text: str, limit: int = 0) -> str:
        return text

    output = Output("stderr", stderr, len(stderr))
    return failure_of(CommandResult(exit_code, words, words), [output], clean=clean)


def shown(text: str) -> str:
    return text[:60]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}-{shown(case['text'])}")
def test_every_case(case: dict[str, Any]) -> None:
    sort = printed if case["stderr"] else raised

    assert sort(case["text"]).error_group == case["group"]


STATUSES = {
    # curl, git, wget, aria2, HTTPie
    "curl: (22) The requested URL returned error: 429": 429,
    "curl: (22) The requested URL returned error: 409 Conflict": 409,
    "curl: (56) Received HTTP code 407 from proxy after CONNECT": 407,
    "curl: (56) CONNECT tunnel failed, response 403": 403,
    "error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413": 413,
    "fatal: unable to access 'https://x.test/a.git/': The requested URL returned error: 403": 403,
    "2026-01-02 03:04:05 ERROR 404: Not Found.": 404,
    "wget: server returned error: HTTP/1.1 502 Bad Gateway": 502,
    "errorCode=22 URI=http://x.test/a The response status is not successful. status=503": 503,
    "http: error: Request failed with HTTP 500 Internal Server Error": 500,
    # Google, AWS, Azure, Kubernetes
    "googleapi: Error 404: The specified bucket does not exist., notFound": 404,
    "googleapi: got HTTP response code 502 with body: <html>": 502,
    "ServiceException: 401 Anonymous caller does not have storage.objects.list access": 401,
    "BadRequestException: 400 Bucket is a requester pays bucket": 400,
    "ResumableUploadAbortException: 410 Gone": 410,
    "google.api_core.exceptions.TooManyRequests: 429 Quota exceeded for quota metric": 429,
    "An error occurred (503) when calling the PutObject operation: Slow Down": 503,
    "An error occurred (AccessDenied) when calling the PutObject operation: Access Denied": 403,
    "An error occurred (NoSuchBucket) when calling the ListObjectsV2 operation: no bucket": 404,
    "upload failed: ./a to s3://b/a An error occurred (SlowDown) when calling the PutObject": 503,
    "api error Forbidden: Forbidden, https response error StatusCode: 403, RequestID: X": 403,
    "AmazonServiceException: Rate exceeded (Service: AWSLambda; Status Code: 429;": 429,
    "(Service: S3, Status Code: 404, Request ID: ABC)": 404,
    "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>": 404,
    "ERROR: (ResourceNotFound) The Resource 'vm' under resource group 'rg' was not found.": 404,
    "azure.core.exceptions.ResourceExistsError: (Conflict) The account is being deleted.": 409,
    'StatusCode=409 -- Original Error: Code="Conflict" Message="locked"': 409,
    "unexpected status 404 (404 Not Found) with error: ResourceNotFound: gone": 404,
    'Error from server (NotFound): pods "sync" not found': 404,
    'Error from server (AlreadyExists): jobs.batch "sync" already exists': 409,
    "Error from server (ServiceUnavailable): the server is currently unable to handle": 503,
    "Error from server (TooManyRequests): the server has received too many requests": 429,
    "Error from server (InternalError): an error on the server": 500,
    "error: You must be logged in to the server (Unauthorized)": 401,
    "Error from server (Timeout): the server was unable to return a response in time": 504,
    "ERROR: (ResourceGroupNotFound) Resource group 'rg' could not be found.\n"
    "Code: ResourceGroupNotFound\nMessage: Resource group 'rg' could not be found.": 404,
    # after an exception's or error's type name
    'Error: 500 {"message":"boom"}': 500,
    "Exception: 503 - upstream is away": 503,
    "ApiException: 404: no such enrolment": 404,
    "RequestError(429, 'Too many', {})": 429,
    "AuthError('a1b2c3', 401, 'expired_access_token')": 401,
    "AuthorizationException(403, 'security_exception', 'no permissions')": 403,
    "NotFoundError(404, 'index_not_found_exception', 'no such index [a]')": 404,
    "org.springframework.web.client.HttpClientErrorException$NotFound: 404 : [no body]": 404,
    "HttpServerErrorException: 503 Service Unavailable: [no body]": 503,
    "feign.FeignException$ServiceUnavailable: [503 Service Unavailable] during [GET] to [x]": 503,
    "feign.FeignException$BadRequest: [400] during [POST] to [http://x/api]: [{}]": 400,
    "retrofit2.HttpException: HTTP 422": 422,
    "RestClient::Conflict: 409 Conflict": 409,
    "OpenURI::HTTPError: 403 Forbidden": 403,
    "Faraday::ServerError: the server responded with status 503": 503,
    "Octokit::NotFound: GET https://api.github.com/repos/a/b: 404 - Not Found": 404,
    "Gem::RemoteFetcher::FetchError: bad response Service Unavailable 503 (https://x.test/)": 503,
    "javax.ws.rs.ServiceUnavailableException: HTTP 503 Service Unavailable": 503,
    "Unexpected code Response{protocol=http/1.1, code=503, message=Service Unavailable}": 503,
    "status 503 reading Students#list(); content: down": 503,
    # sentences
    "upstream returned 503": 503,
    "the API returned a 502 for page 3": 502,
    "server responded with 500": 500,
    "failed with 503, giving up": 503,
    "Got 500 status code": 500,
    "got 429 from the registrar's API": 429,
    "expected 200, got 503": 503,
    "received unexpected HTTP status: 503 Service Unavailable": 503,
    "request failed: 503": 503,
    "webhook rejected with 410": 410,
    "response code: 429": 429,
    "Received status code 503 from server: Service Unavailable": 503,
    "Status code was 404 and not [200]: OK (unknown bytes)": 404,
    "Could not transfer artifact: Return code is: 503 , ReasonPhrase:Service Unavailable.": 503,
    "failed to load the students of page 3 (502)": 502,
    "the request was refused (403)": 403,
    "an unexpected error occurred (500)": 500,
    "a 404 error was returned": 404,
    "500 response from gateway": 500,
    "Page Not Found (404)": 404,
    "rpc failed: Too Many Requests (429)": 429,
    "<Response [429]>": 429,
    "<ClientResponse(https://x.test/) [502 Bad Gateway]>": 502,
    "raise_for_status: HTTPStatus.BAD_GATEWAY": 502,
    "HttpStatusCode.ServiceUnavailable": 503,
    "Request failed with status code ServiceUnavailable": 503,
    "POST https://x.test/hook: 409 - duplicate": 409,
    "GET /students -> 503": 503,
    'failed to authenticate: GET "https://api.x.test/user": 401 Bad credentials []': 401,
    "Error making API request.\n\nCode: 403. Errors:\n\n* permission denied": 403,
    # JSON bodies
    '{"code": 429, "message": "slow down"}': 429,
    '{"error": {"code": "503", "message": "backend", "errors": []}}': 503,
    '{"ok":false,"error_code":409,"description":"Conflict: terminated by other getUpdates"}': 409,
    "{'code': 404, 'message': 'Not exists'}": 404,
    '{\\"code\\": 500, \\"message\\": \\"x\\"}': 500,
    '{"statusCode":503,"error":"Service Unavailable"}': 503,
    '{"error":{"code":"Forbidden","message":"no"}}': 403,
    "ApiError: code=409, message=duplicate enrolment": 409,
    # servers' own pages and phrases
    "<title>502 Proxy Error</title>": 502,
    "<h1>405 Not Allowed</h1>": 405,
    "503 first byte timeout": 503,
    "<h2>HTTP Error 503. The service is unavailable.</h2>": 503,
    "HTTP Error 401.2 - Unauthorized: 401 Unauthorized: Access is denied": 401,
    "Error 522: Connection timed out": 522,
    "Error code 520": 520,
    "error code: 1015 is Cloudflare's own, error code: 524 is a status": 524,
    "upstream connect error, 503 no healthy upstream": 503,
    "<html><head><title>429 Too Many Requests</title></head>": 429,
    # a status beside a timeout of the same statement
    "API Error 504: gateway timeout error": 504,
    "Error code 522: the connection timed out": 522,
    "HTTP 503: backend read timeout": 503,
    # npm, pip, apt, composer, docker, restic, rclone
    "npm ERR! code E404": 404,
    "npm error code E403": 403,
    "npm ERR! 503 Service Unavailable - GET https://x.test/left-pad": 503,
    "ERROR: HTTP error 404 while getting https://x.test/a.whl": 404,
    "E: Failed to fetch http://x.test/a.deb  404  Not Found [IP: 192.0.2.1 80]": 404,
    'The "https://x.test/p.json" file could not be downloaded (HTTP/1.1 502 Bad Gateway)': 502,
    "unexpected HTTP response (503): 503 Service Unavailable": 503,
    "svn: E170013: Unexpected HTTP status 503 'Service Unavailable' on '/svn'": 503,
    "S3 error: 403 (AccessDenied): Access Denied": 403,
    "WARNING: Status code 500 for s3://bucket": 500,
    # .NET in other languages
    "Der Remoteserver hat einen Fehler zurückgegeben: (503) Server nicht verfügbar.": 503,
    "Error en el servidor remoto: (404) No se encontró.": 404,
    "リモート サーバーがエラーを返しました: (503) サーバーを使用できません": 503,
    "원격 서버에서 (500) 내부 서버 오류 오류를 반환했습니다.": 500,
    "远程服务器返回错误: (403) 已禁止。": 403,
    "Удаленный сервер возвратил ошибку: (401) Несанкционированный.": 401,
    # a status word in other languages
    "요청 실패, 상태 코드: 503": 503,
    "응답 코드 429": 429,
    "서버가 503을 반환했습니다": 503,
    "학사 서버 500 에러": 500,
    "ステータスコード: 503": 503,
    "ステータス コード 404 が返されました": 404,
    "サーバーが503エラーを返しました": 503,
    "请求失败，状态码：502": 502,
    "状态码503": 503,
    "接口返回503错误": 503,
    "HTTP错误 500": 500,
    "Statuscode 503 vom Server": 503,
    "Server antwortete mit 502": 502,
    "HTTP-Fehler 404": 404,
    "código de estado: 503": 503,
    "el servidor respondió con 500": 500,
    "code d'erreur HTTP 503": 503,
    "le serveur a répondu 404": 404,
    "erreur 503 du serveur": 503,
    "código de status 429": 429,
    "o servidor retornou 502": 502,
    "codice di stato 503": 503,
    "код ответа 503": 503,
    "сервер вернул 500": 500,
    # a code that is said after the verb, or before it
    "El servidor respondió con el código 503": 503,
    "o servidor respondeu com o código 502": 502,
    "Le serveur a répondu avec le code 502": 502,
    "der Server antwortete mit dem Code 500": 500,
    "Der Server hat mit Fehler 503 geantwortet": 503,
    "сервер ответил с кодом 504": 504,
    "학사 API가 503으로 응답했습니다": 503,
    "服务器拒绝了请求，返回码 403": 403,
    # parentheses after what is said in other languages
    "リクエストが多すぎます (429)": 429,
    "認証できませんでした（401）": 401,
    "페이지를 찾을 수 없습니다 (404)": 404,
    "Seite nicht gefunden (404)": 404,
    "请求过于频繁 (429)": 429,
    # Docker, its registries, kubectl's and the Docker daemon's sentences
    "toomanyrequests: You have reached your pull rate limit": 429,
    "Error response from daemon: Get x: unauthorized: authentication required": 401,
    "Error response from daemon: Conflict. The container name is already in use": 409,
    "error: the server has asked for the client to provide credentials": 401,
    "the server is currently unable to handle the request": 503,
    "the server could not find the requested resource": 404,
    "the object has been modified; please apply your changes to the latest version": 409,
    # AWS spells its codes by a convention
    "An error occurred (ValidationError) when calling the UpdateStack operation: no": 400,
    "An error occurred (ResourceNotFoundException) when calling the GetItem operation: no": 404,
    "An error occurred (InvalidInstanceID.NotFound) when calling the StopInstances operation": 404,
    "An error occurred (EntityAlreadyExists) when calling the CreateRole operation: no": 409,
    "An error occurred (ConflictException) when calling the CreateStage operation: no": 409,
    "An error occurred (RequestLimitExceeded) when calling the RunInstances operation": 503,
    "An error occurred (InternalServerException) when calling the Query operation": 500,
    "An error occurred (UnauthorizedOperation) when calling the RunInstances operation": 403,
    "An error occurred (LimitExceededException) when calling the Decrypt operation": 429,
    # Ansible, Guzzle, Scrapy
    "basic: Bad HTTP response returned from server. Code 502": 502,
    "Server error response [url] https://x.test/a [status code] 500 [reason phrase] x": 500,
    "Crawled (403) <GET https://x.test/sets> (referer: None)": 403,
}

NO_STATUSES = [
    "returned 500 rows",
    "returned 503 students",
    "received 512 bytes",
    "got 404 records, expected 512",
    "expected 512 columns, got 409",
    "error: 500 rows rejected",
    "sent 500 messages",
    "succeeded: 12, failed: 503",
    "12 rows failed: 503",
    "failed for invoice (404)",
    "no faculty for student (503)",
    'Key (student_id)=(503) is not present in table "students".',
    "could not load row (500)",
    "ValueError: 503 is not a valid grade",
    "KeyError: 503",
    "IndexError(404)",
    "IntegrityError('x', 547, 'The INSERT statement conflicted')",
    "IntegrityError: (547, b'The INSERT statement conflicted')",
    "pymssql.exceptions.OperationalError: (515, b'Cannot insert the value NULL')",
    "[23000] [Microsoft][SQL Server]The INSERT statement conflicted. (547) (SQLExecDirectW)",
    "Msg 547, Level 16, State 0, Line 1",
    "Code: 516. DB::Exception: default: Authentication failed",
    "smtplib.SMTPSenderRefused: (450, b'4.7.1 greylisted', 'a@b.test')",
    "SMTP server replied: 550 5.1.1 user unknown",
    "550 5.7.1 relaying denied",
    "mail server returned 421 4.3.2",
    "ftp: 530 Login incorrect.",
    "ftplib.error_temp: 421 Too many connections",
    "lftp: mirror: Access failed: 550 /a: No such file",
    "(404, \"NOT_FOUND - no queue 'sync' in vhost '/'\")",
    "ACCESS_REFUSED: (403) ACCESS_REFUSED - login was refused",
    "Channel.open: (504) CHANNEL_ERROR - second 'channel.open' seen",
    "Unknown error 524",
    "connect to db.internal port 502: Connection refused",
    "Failed to connect to x.test port 443 after 5 ms: Couldn't connect to server",
    "HTTPSConnectionPool(host='x.test', port=443): Max retries exceeded with url: /503",
    "exit code 500",
    "command exited with error code 404",
    "statusbar 500",
    "response time 503 ms",
    "response 500 bytes long",
    "page (404) of 512",
    "rows 400-499 failed",
    "status: 500 students imported",
    "상태: 500건 처리",
    "500건 등록 실패",
    "성공 12, 실패 503",
    "返回 500 条记录",
    "503 名の学生",
    "第503条",
    "es wurden 503 Studenten importiert",
    "code 500 of the curriculum",
    '{"code": 503, "count": 2}',
    "rpc error: code = NotFound desc = no such order",
    'Status(StatusCode="Unavailable", Detail="x")',
    '{"extensions": {"code": "Forbidden"}}',
    "the order is (Forbidden) for students",
    "500 Can't connect to x.test:443 (Connection refused)",
    "line 503: unexpected token",
    "error in line 503",
    "ERROR at line 404",
    "#500: no such ticket",
    "the 500 students of 2026",
    "a 404 page document",
    "version 5.0.3, build 503",
    "E500: bad",
    "code E404 is the curriculum's",
    'ERROR:  invalid input syntax for type integer: "HTTP 503"',
    "code: Invalid, message: no such term",
    "MySQL error 500: x",
    "ORA-00500: x",
    "Permission denied: '/exports/a.csv'",
    "access was denied: no such term",
    "merge conflict. 409 rows differ",
    "pull access denied for acme/sync: denied: requested access to the resource is denied",
    "An error occurred (SyncBroken) when calling the nightly job",
    "the report has no code for term 503 yet",
    "le code 503 du cours est inconnu",
    "el código 503 de la asignatura no existe",
    "HTTP worker finished, exit code 500",
    "503 Studenten nicht gefunden",
    "12 Zeilen nicht gefunden in Datei (503 gelesen)",
    "학생 503명을 찾을 수 없습니다",
]


TIMEOUTS = [
    # Go, gRPC, Kubernetes, Rust
    'Get "https://x.test/": context deadline exceeded (Client.Timeout exceeded while awaiting)',
    "dial tcp 192.0.2.1:5432: i/o timeout",
    "net/http: TLS handshake timeout",
    "4 DEADLINE_EXCEEDED: Deadline exceeded after 30.001s",
    'Status(StatusCode="DeadlineExceeded", Detail="Deadline Exceeded")',
    "io.grpc.StatusRuntimeException: DEADLINE_EXCEEDED: deadline exceeded after 4.9s",
    "DeadlineExceeded: Job was active longer than specified deadline",
    'error: deployment "sync" exceeded its progress deadline',
    "error: timed out waiting for the condition on deployments/sync",
    "deadline has elapsed",
    'Os { code: 110, kind: TimedOut, message: "Connection timed out" }',
    "Connection timed out (os error 110)",
    # Node
    "Error: connect ETIMEDOUT 192.0.2.1:443",
    "Error: ESOCKETTIMEDOUT",
    "code: 'UND_ERR_HEADERS_TIMEOUT'",
    "net::ERR_CONNECTION_TIMED_OUT at https://x.test/",
    "AxiosError: timeout of 5000ms exceeded",
    # PHP, Ruby, Perl, Java, .NET, Elixir
    "PHP Fatal error:  Maximum execution time of 30 seconds exceeded in /app/sync.php on line 9",
    "Net::OpenTimeout: execution expired",
    "execution expired",
    "java.net.SocketTimeoutException: Read timed out",
    "java.util.concurrent.TimeoutException: Did not observe any item within 5000ms",
    "HikariPool-1 - Connection is not available, request timed out after 30000ms.",
    "System.Threading.Tasks.TaskCanceledException: The request was canceled due to the configured"
    " HttpClient.Timeout of 100 seconds elapsing.",
    "A connection attempt failed because the connected party did not properly respond after a"
    " period of time, or established connection failed because connected host failed to respond",
    "** (exit) exited in: GenServer.call(Sync, :run, 5000)\n    ** (EXIT) time out",
    "** (stop) {timeout, {gen_server, call, [sync, run]}}",
    # job systems
    "Hard time limit (300s) exceeded for task sync[1234]",
    "Task raised: SoftTimeLimitExceeded()",
    "slurmstepd: error: *** JOB 4711 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***",
    "=>> PBS: job killed: walltime 3613 exceeded limit 3600",
    "The job running on runner X has exceeded the maximum execution time of 360 minutes.",
    "Task timed out after 3.00 seconds",
    "[CRITICAL] WORKER TIMEOUT (pid:7)",
    "Job for sync.service failed because a timeout was exceeded.",
    "make: *** [Makefile:3: sync] Error 124",
    "command exited with code 124",
    # databases
    "ERROR:  canceling statement due to statement timeout",
    "FATAL:  terminating connection due to idle-in-transaction timeout",
    "(3024, 'Query execution was interrupted, maximum statement execution time exceeded')",
    "ERROR 3024 (HY000): Query execution was interrupted",
    "ERROR 1969 (70100): Query execution was interrupted (max_statement_time exceeded)",
    "ERROR 1205 (HY000): Lock wait timeout exceeded; try restarting transaction",
    "Lock request time out period exceeded.",
    "Execution Timeout Expired.  The timeout period elapsed prior to completion",
    "ORA-12170: TNS:Connect timeout occurred",
    "ORA-12535: TNS:operation timed out",
    "operation exceeded time limit",
    "MaxTimeMSExpired",
    "000630 (57014): Statement reached its statement or warehouse timeout of 10 second(s)",
    "LDAP: Time limit exceeded",
    # curl, ssh, DNS, Windows
    "curl: (28) Operation too slow. Less than 1000 bytes/sec transferred the last 30 seconds",
    "curl: (28) SSL connection timeout",
    ";; connection timed out; no servers could be reached",
    "ssh: connect to host x.test port 22: Operation timed out",
    "Timeout, server x.test not responding.",
    "[WinError 10060] x",
    "System error 0x0000274C",
    "ERROR 2003 (HY000): Can't connect to MySQL server on 'db:3306' (110)",
    # sentences
    "no reply from upstream within 30 s",
    "The upstream did not respond within 5 seconds",
    "pod was not ready after 300 seconds",
    "gave up after 600 seconds",
    "giving up waiting for the lock",
    "The request took too long to process",
    "query took longer than 30 seconds",
    "the job exceeded its time limit",
    "exceeded the maximum allowed time",
    "no heartbeat received within 90s",
    "connection time out",
    # the word as a value, not a name
    '{"error": "timeout"}',
    "Failed with result 'timeout'.",
    "reason=timeout",
    "upstream_timeout",
    "wait(timeout=30) expired",
    "lost connection while reading (timeout)",
    "ERROR: timeout: 5000ms",
    "the request has a timeout",
    '"timed_out": true',
    # Korean
    "연결 시간이 초과되었습니다",
    "요청 시간 초과",
    "오류:  명령실행시간 초과로 작업을 취소합니다.",
    "오류:  잠금 대기 시간 초과로 작업을 취소합니다.",
    "[WinError 10060] 연결된 구성원으로부터 응답이 없어 연결하지 못했거나",
    # Japanese
    "接続がタイムアウトしました",
    "ERROR:  ステートメントのタイムアウトのためステートメントをキャンセルしています",
    "ERROR:  ロックのタイムアウトのためステートメントをキャンセルしています",
    "操作がタイムアウトしました",
    "接続済みの呼び出し先が一定の時間が過ぎても正しく応答しなかったため",
    # Chinese
    "连接超时",
    "错误:  由于语句执行超时，正在取消查询命令",
    "連線逾時",
    "錯誤:  因為查詢逾時而取消",
    # German
    "FEHLER:  storniere Anfrage wegen Zeitüberschreitung der Anfrage",
    "FEHLER:  storniere Anfrage wegen Zeitüberschreitung einer Sperre",
    "Zeitüberschreitung bei der Anforderung.",
    "da die Gegenstelle nach einer bestimmten Zeitspanne nicht richtig reagiert hat",
    # Spanish
    "ERROR:  cancelando la sentencia debido a que se agotó el tiempo de espera de sentencias",
    "Expiró el tiempo de conexión",
    "tiempo de espera agotado",
    "La operación ha superado el tiempo de espera",
    "se superó el límite de tiempo",
    # French
    "ERREUR:  annulation de la requête à cause du délai écoulé pour l'exécution de l'instruction",
    "Connexion terminée par expiration du délai d'attente",
    "Délai d'attente dépassé",
    # Portuguese, Italian, Russian, Polish, Turkish
    "Tempo esgotado para conexão",
    "o tempo limite da operação foi atingido",
    "Tempo di attesa scaduto",
    "Время ожидания соединения истекло",
    "Превышено время ожидания",
    "ОШИБКА:  выполнение оператора отменено из-за тайм-аута",
    "Przekroczony czas oczekiwania na połączenie",
    "Bağlantı zaman aşımına uğradı",
]

NO_TIMEOUTS = [
    # the interpreter's own words
    "KeyError: 'timeout'",
    "KeyError: 'request_timeout'",
    "NameError: name 'timeout' is not defined",
    "NameError: name 'Timeout' is not defined. Did you mean: 'TimeoutError'?",
    "AttributeError: 'Session' object has no attribute 'timeout'",
    "AttributeError: module 'httpx' has no attribute 'ReadTimeouts'",
    "TypeError: fetch() got an unexpected keyword argument 'timeout'",
    "TypeError: fetch() missing 1 required positional argument: 'timeout'",
    "TypeError: fetch() got multiple values for argument 'timeout'",
    "UnboundLocalError: cannot access local variable 'timeout' where it is not associated",
    "ImportError: cannot import name 'Timeout' from 'urllib3.util' (/usr/lib/urllib3/util.py)",
    "ModuleNotFoundError: No module named 'timeout_decorator'",
    "[Errno 2] No such file or directory: '/etc/sync/timeout.conf'",
    "FileNotFoundError: [Errno 2] No such file or directory: 'timeouts.yaml'",
    "TypeError: Cannot read properties of undefined (reading 'timeout')",
    "ReferenceError: timeout is not defined",
    "undefined local variable or method `timeout' for main:Object (NameError)",
    "ArgumentError: unknown keyword: :timeout",
    'Undefined array key "timeout"',
    "PHP Warning:  Undefined variable $timeout in /app/sync.php on line 3",
    "./sync.go:12:3: undefined: timeout",
    'An argument named "idle_timeouts" is not expected here. Did you mean "idle_timeout"?',
    "java.lang.NoSuchFieldError: timeout",
    "java.lang.ClassNotFoundException: org.example.TimeoutHandler",
    # options and parameters with their value
    "usage: sync [-h] [--timeout TIMEOUT]\nsync: error: unrecognized arguments: --fast",
    "sync: error: argument --timeout: invalid int value: 'x'",
    "error: unknown flag: --timeout",
    "gunicorn --timeout 1800s app:app: no such module",
    'host=db connect_timeout=10 dbname=x: FATAL: role "job" does not exist',
    "postgresql://db/x?connect_timeout=10&sslmode=require: password authentication failed",
    '{"read_timeout": 30, "host": "x"} is no object',
    "bad settings: {'timeout': 30, 'retries': 3}",
    "retry(timeout=5, tries=3) was refused",
    "Client(timeout=Timeout(connect=5.0, read=5.0)) refused by host",
    '{"took":3,"timed_out":false,"_shards":{"failed":1}}',
    "could not set SO_RCVTIMEO socket timeout: Invalid argument",
    "Timeout value connect was <object object>, but it must be an int, float or None.",
    "Attempted to set connect timeout to <= 0",
    "timeout must be a positive number",
    "invalid timeout: -5",
    "ssl_handshake_timeout is only meaningful with ssl",
    "httpx.Timeout must either include a default, or set all four parameters explicitly.",
    "read_timeout and timeout parameters conflict",
    "Timeout context manager should be used inside a task",
    "timeout too big",
    # columns, tables, constraints, settings of a database
    'column "timeout" does not exist',
    "ERROR:  column jobs.timeout does not exist",
    "no such column: timeout",
    'relation "app_timeout" does not exist\nLINE 1: SELECT 1 FROM "app_timeout"',
    "(1054, \"Unknown column 'timeout' in 'field list'\")",
    'relation "timeouts" does not exist',
    "Table 'x.timeouts' doesn't exist",
    'no table named "timeouts"',
    'ORA-00904: "TIMEOUT": invalid identifier',
    'null value in column "timeout" of relation "jobs" violates not-null constraint',
    'duplicate key value violates unique constraint "jobs_timeout_key"',
    "Key (timeout)=(5) already exists.",
    'unrecognized configuration parameter "statement_timeout_ms"',
    'invalid value for parameter "statement_timeout": "fast"',
    "Invalid column name 'timeout'.",
    # fields of validation errors
    "1 validation error for Settings\ntimeout\n  Input should be an integer [type=int_parsing]",
    "1 validation error for Settings\ntimeout\n  field required (type=value_error.missing)",
    "{'timeout': ['Not a valid integer.']}",
    '{"timeout":["This field is required."]}',
    "'timeout' is a required property",
    "timeout: This field is required",
    "Unique constraint failed on the fields: (`timeout`)",
    "celery.exceptions.NotRegistered: 'sync.timeout_job' not registered",
    "could not determine a constructor for the tag '!timeout'",
    'Unable to locate element: {"method":"css selector","selector":"#timeout"}',
    'invalid value "30x" in "proxy_read_timeout" directive in /etc/nginx/nginx.conf:503',
    "config: timeout: 30, retries: 500",
    "panic: flag redefined: timeout",
    "Unknown property timeout on class Client",
    "An item with the same key has already been added. Key: timeout",
    "java.lang.IllegalArgumentException: timeout can't be negative",
    # commands, paths, frames, timers
    "bash: line 1: timeout: command not found",
    "timeout: failed to run command 'sync': No such file or directory",
    "Command '['timeout', '30', 'rsync', 'a', 'b']' returned non-zero exit status 23.",
    "GET https://x.test/timeout/3 failed: connection refused",
    "cannot read /exports/timeout.csv",
    "TypeError: x is null\n    at Timeout._onTimeout (/app/sync.js:3:5)\n    at listOnTimeout (x)",
    "ReferenceError: x is not defined in setTimeout callback",
    # a SQLSTATE of another kind stands beside it
    "SQL0911N  Rolled back because of a deadlock or timeout.  SQLSTATE=40001",
    # other traps
    "took 502 ms",
    "waited 450 seconds",
    "certificate has expired",
    "token expired",
    "quota exceeded",
    "maximum number of retries exceeded",
    "exceeded the maximum number of times",
    "no such host",
    "could not convert string within 30 columns",
    "errno 1100",
    "exit code 1240",
    "imported 124 students",
    "KeyError: '타임아웃'",
    'column "超时" does not exist',
]


@pytest.mark.parametrize("text", STATUSES, ids=shown)
def test_a_status_is_read_in_the_words_of_its_tool(text: str) -> None:
    status = STATUSES[text]

    assert (status_in(text) or ("none",))[0] == status
    assert raised(text).http_status_code == status
    assert printed(text).http_status_code == status


@pytest.mark.parametrize("text", NO_STATUSES, ids=shown)
def test_a_number_that_is_no_status_is_none(text: str) -> None:
    assert status_in(text) is None
    assert raised(text).error_group == "UNKNOWN"
    assert printed(text).error_group == "UNKNOWN"


@pytest.mark.parametrize("text", TIMEOUTS, ids=shown)
def test_a_timeout_is_read_in_the_words_of_its_tool(text: str) -> None:
    assert raised(text).error_group == "TIMEOUT"
    assert printed(text).error_group == "TIMEOUT"


@pytest.mark.parametrize("text", NO_TIMEOUTS, ids=shown)
def test_a_name_is_no_timeout(text: str) -> None:
    assert timeout_in(text) is None
    assert raised(text).error_group == "UNKNOWN"
    assert printed(text).error_group == "UNKNOWN"
