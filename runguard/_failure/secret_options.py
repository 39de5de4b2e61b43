"""Which options of which tools take secrets: data for `command_lines`.

The source of each entry is the tool's own manual. `-p` is a password for these tools only; for
docker, ssh and many more it is a port.
"""

from __future__ import annotations

from typing import NamedTuple


class Tool(NamedTuple):
    """How one family of tools takes secrets.

    Attributes:
        names: the commands, without a path and `.exe`.
        value: options whose next word (or the rest of the same word) is a secret.
        attached: options that take a secret in the same word only: `mysql -psecret`.
        split: options whose value is a user and a secret, and what stands between them.
        after: words after which the nth word that is no option is a secret; one that ends with a
            dot stands for all that begin so.
        needs: a word without which the options above mean something else: `docker login -p`.
        login: the tool takes `user/password@database`.
    """

    names: str
    value: str = ""
    attached: str = ""
    split: str = ""
    after: str = ""
    needs: str = ""
    login: bool = False


TOOLS: tuple[Tool, ...] = (
    # --- Databases -------------------------------------------------------------------------------
    Tool("redis-cli redis-benchmark valkey-cli keydb-cli iredis", "-a --pass --askpass-value"),
    Tool(
        "mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlbinlog "
        "mysqlpump mysqlslap"
        " mysql_upgrade mysqlsh mariadb mariadb-dump mariadb-admin mariadb-check mariadb-import"
        " mariabackup xtrabackup innobackupex mycli pt-table-sync pt-archiver",
        attached="-p",
        after="password:1",
    ),
    Tool("mydumper myloader pt-query-digest", "-p"),
    Tool(
        "mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop "
        "mongofiles",
        "-p",
    ),
    Tool("sqlcmd osql isql bcp tsql fisql go-sqlcmd mssql-cli", "-P"),
    Tool("cqlsh nodetool dsetool", "-p -pw"),
    Tool("vsql", "-w"),
    Tool("nzsql nzload", "-pw"),
    Tool("hdbsql", "-p"),
    Tool("beeline sqlline impala-shell", "-p"),
    Tool("influx influxd", "-t -password"),
    Tool("taos clickhouse clickhouse-client", attached="-p"),
    Tool("arangosh arangodump", "--server.password"),
    Tool("neo4j-admin cypher-shell", "-p", after="set-initial-password:1"),
    Tool("rethinkdb couchbase-cli cbbackup cbq", "-p"),
    Tool("bteq fastload mload", after=".logon:1"),
    Tool("db2", after="using:1"),
    Tool("snowsql", "-p"),
    Tool("sqlplus sqlldr exp imp expdp impdp rman tkprof wrap odisql clpplus sqlcl", login=True),
    Tool("isql-fb gbak gfix nbackup", "-pas -password -p"),
    # --- Fetching and copying --------------------------------------------------------------------
    Tool(
        "curl",
        "--oauth2-bearer --pass --proxy-pass --tlspassword --proxy-tlspassword -b "
        "--cookie --delegation-key",
        split="-u: --user: -U: --proxy-user:",
    ),
    Tool("wget wget2 aria2c axel lftpget", "--http-passwd --ftp-passwd --http-password"),
    Tool("http https xh xhs httpie", split="-a: --auth:"),
    Tool("lftp", split="-u, --user,", after="user:2"),
    Tool("ncftpput ncftpget ncftpls ncftp ncftpbatch", "-p"),
    Tool(
        "smbclient rpcclient net smbtree smbcacls smbcquotas smbmount winexe wmic-linux",
        split="-U% --user%",
    ),
    Tool("smbget", "-p", split="-U% --user%"),
    Tool("sshpass", "-p"),
    Tool("plink pscp psftp putty kitty winscp", "-pw"),
    Tool("rclone", after="obscure:1"),
    Tool("s3cmd", "--secret_key"),
    Tool("mc", after="alias:4"),
    Tool("cadaver davfs2", "-p"),
    Tool("rsync-ssl aspera ascp", "-W"),
    Tool(
        "wget-auth skopeo buildah crane podman-login",
        "--creds",
        split="--creds: --src-creds: --dest-creds:",
    ),
    Tool("evil-winrm crackmapexec netexec nxc", "-p"),
    # --- Archives, documents, keys ---------------------------------------------------------------
    Tool("7z 7za 7zr 7zz p7zip", attached="-p"),
    Tool("zip unzip zipcloak zipnote funzip", "-P --password"),
    Tool("rar unrar", attached="-p -hp"),
    Tool("arj", attached="-g"),
    Tool("pdftk qpdf", after="user_pw:1 owner_pw:1 input_pw:1"),
    Tool("pdftotext pdfinfo pdftoppm pdfimages pdftops", "-upw -opw"),
    Tool("openssl libressl", "-k -K -passin -passout -pass -password -passwd"),
    Tool("gpg gpg2 gpgv", "--passphrase"),
    Tool(
        "keytool jarsigner apksigner",
        "-storepass -keypass -srcstorepass -deststorepass -destkeypass -srckeypass -new "
        "--ks-pass --key-pass",
    ),
    Tool("signtool osslsigncode azuresigntool", "/p -pass -kvs"),
    Tool("certutil-nss pk12util", "-W -K"),
    Tool("certutil", "-p"),
    Tool("ccrypt ccencrypt ccdecrypt ccat mcrypt", "-K -k --key"),
    Tool("steghide john", "-p"),
    Tool("security", "-p -w"),
    Tool("hdiutil", "-passphrase"),
    Tool(
        "htpasswd htdigest",
        after=(
            "-b:3 -nb:2 -bn:2 -cb:3 -bc:3 -bB:3 -Bb:3 -nbB:2 -bnB:2 -Bbn:2 -cbB:3 -bcB:3 -mb:3 "
            "-bm:3"
        ),
    ),
    Tool("wpa_passphrase", after="wpa_passphrase:2"),
    Tool("useradd usermod", "-p"),
    # --- Directories, mail, queues ---------------------------------------------------------------
    Tool(
        "ldapsearch ldapadd ldapmodify ldapdelete ldappasswd ldapwhoami ldapcompare ldapmodrdn"
        " ldapexop ldapurl",
        "-w -s -a",
    ),
    Tool("ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldapcompare ldapmodrdn", "-w"),
    Tool("swaks", "-ap --auth-password"),
    Tool("sendemail", "-xp"),
    Tool("mosquitto_pub mosquitto_sub mosquitto_rr", "-P --pw"),
    Tool("mosquitto_passwd", after="-b:3"),
    Tool("mqtt", "-pw"),
    Tool("rabbitmqctl", after="add_user:2 change_password:2 authenticate_user:2"),
    Tool("rabbitmqadmin", "-p"),
    Tool("stomp amqp-publish amqp-consume", "-p"),
    Tool("kinit", "--password"),
    Tool("snmpwalk snmpget snmpset snmpbulkwalk snmptrap snmpbulkget snmptable", "-A -X -c"),
    Tool("ipmitool ipmi-sensors ipmipower bmc-config", "-P -p"),
    # --- Windows ---------------------------------------------------------------------------------
    Tool("xfreerdp xfreerdp3 wfreerdp sdl-freerdp rdesktop mstsc", "/p -p /gp"),
    Tool("psexec psexec64 pskill pslist psservice paexec", "-p"),
    Tool("schtasks", "/rp /p"),
    Tool("wmic", "/password"),
    Tool("cmdkey", "/pass"),
    Tool("winrs", "-p /p /password"),
    Tool("sc", after="password=:1"),
    Tool("dtexec", "/de /decrypt"),
    Tool("osk netdom", "/passwordd /passwordo /pd /po"),
    # --- Containers and clouds -------------------------------------------------------------------
    Tool("docker podman nerdctl buildah skopeo crane oras regctl helm finch", "-p", needs="login"),
    Tool("az", "-p --account-key --sas-token --admin-password"),
    Tool("aws-vault saml2aws", "-p"),
    Tool("oc", "-p", needs="login"),
    Tool("cf", "-p", needs="login"),
    Tool("cf", after="auth:2"),
    Tool("vault", after="login:1 unseal:1 unwrap:1"),
    Tool("rancher argocd harbor portainer", "--password"),
    Tool("doctl", "-t", needs="auth"),
    Tool("heroku", after="auth:token:1"),
    Tool("ngrok", after="authtoken:1 add-authtoken:1"),
    Tool("cloudflared", "--token", after="install:1"),
    Tool("tailscale", "--authkey --auth-key"),
    # --- Developers' tools -----------------------------------------------------------------------
    Tool("nuget", "-ApiKey", after="setapikey:1"),
    Tool("dotnet", "-k", needs="push"),
    Tool("twine flit", "-p"),
    Tool("uv", "-t --token -p", needs="publish"),
    Tool("poetry", "-p", needs="publish"),
    Tool("poetry", after="pypi-token.:1 http-basic.:2"),
    Tool(
        "composer",
        after="github-oauth.:1 gitlab-token.:1 http-basic.:2 bearer.:1",
    ),
    Tool("cargo", after="login:1"),
    Tool("gem", "-k --key", needs="push"),
    Tool("snyk", after="auth:1"),
    Tool("wandb", after="login:1"),
    Tool("huggingface-cli hf", "--token", after="login:1"),
    Tool("gh glab", "-b --body -t", needs="set"),
    Tool("p4", "-P"),
    Tool("svn", "--password"),
    Tool("jf jfrog", "--apikey --access-token"),
    Tool("sentry-cli", "--auth-token"),
    Tool("travis codecov", "-t"),
    Tool("vncviewer x11vnc vncpasswd", "-passwd -passwdfile-value"),
    Tool("nmcli", after="password:1 psk:1"),
    Tool("bw", after="unlock:1"),
    Tool("asadmin wsadmin wsadmin.sh jboss-cli.sh jboss-cli", "--password -password"),
    Tool("transmission-remote", split="-n: --auth:"),
    Tool("etcdctl", split="--user:"),
)
