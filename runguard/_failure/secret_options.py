"""Which options of which tools take secrets: data for `command_lines`.

The source of each entry is the tool's own manual. `-p` is a password for these tools only; for
docker, ssh and many more it is a port.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class Tool(NamedTuple):
    """How one family of tools takes secrets.

    Attributes:
        names: the commands, without a path and `.exe`.
        value: options whose next word (or the rest of the same word) is a secret.
        attached: options that take a secret in the same word only: `mysql -psecret`.
        split: options whose value is a user and a secret; the last character parts them.
        after: words after which the nth word that is no option is a secret; one that ends with a
            dot stands for all that begin so.
        needs: a word without which the options above mean something else: `docker login -p`.
        login: where the tool takes `user/password`: `anywhere`, or only before an `@`.
    """

    names: str
    value: str = ""
    attached: str = ""
    split: str = ""
    after: str = ""
    needs: str = ""
    login: Literal["", "anywhere", "before @"] = ""


# What any tool's `--password x`, `--api-key x`, `-storepass x` gives away is found by its name.
TOOLS: tuple[Tool, ...] = (
    # --- Databases -------------------------------------------------------------------------------
    Tool("redis-cli redis-benchmark valkey-cli keydb-cli", "-a --pass"),
    Tool(
        "mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlbinlog mysqlpump"
        " mysqlslap mysql_upgrade mysqlsh mariadb mariadb-dump mariadb-admin mariadb-check"
        " mariadb-import mariabackup xtrabackup innobackupex mycli pt-table-sync pt-archiver",
        attached="-p",
    ),
    Tool("mysqladmin mariadb-admin", after="password:1"),
    Tool("mydumper myloader", "-p"),
    Tool(
        "mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop"
        " mongofiles",
        "-p",
    ),
    Tool("sqlcmd osql isql bcp tsql fisql mssql-cli", "-P"),
    Tool("cqlsh nodetool dsetool", "-p -pw"),
    Tool("vsql", "-w"),
    Tool("nzsql nzload", "-pw"),
    Tool("hdbsql beeline sqlline snowsql couchbase-cli cypher-shell", "-p"),
    Tool("neo4j-admin", after="set-initial-password:1"),
    Tool("influx", "-t -password"),
    Tool("taos", attached="-p"),
    Tool("bteq fastload mload", after=".logon:1"),
    Tool("db2", after="using:1"),
    Tool("isql-fb gbak gfix nbackup", "-pas -p"),
    Tool("sqlplus sqlldr clpplus", login="anywhere"),
    Tool("exp imp expdp impdp rman sqlcl", login="before @"),
    # --- Fetching and copying --------------------------------------------------------------------
    Tool(
        "curl",
        "--oauth2-bearer --pass --proxy-pass --tlspassword --proxy-tlspassword -b --cookie",
        split="-u: --user: -U: --proxy-user:",
    ),
    Tool("aria2c", "--http-passwd --ftp-passwd"),
    Tool("http https xh xhs", split="-a: --auth:"),
    Tool("lftp", split="-u, --user,"),
    Tool("ncftpput ncftpget ncftpls ncftp", "-p"),
    Tool("smbclient rpcclient net smbtree smbcacls winexe", split="-U% --user%"),
    Tool("smbget", "-p", split="-U% --user%"),
    Tool("sshpass", "-p"),
    Tool("plink pscp psftp putty kitty", "-pw"),
    Tool("rclone", after="obscure:1"),
    Tool("mc", after="set:4"),
    Tool("ascp", "-W"),
    Tool("skopeo buildah crane podman", split="--creds: --src-creds: --dest-creds:"),
    Tool("evil-winrm crackmapexec netexec nxc", "-p"),
    # --- Archives, documents, keys ---------------------------------------------------------------
    Tool("7z 7za 7zr 7zz", attached="-p"),
    Tool("zip unzip zipcloak funzip", "-P"),
    Tool("rar unrar", attached="-p -hp"),
    Tool("arj", attached="-g"),
    Tool("pdftk", after="user_pw:1 owner_pw:1 input_pw:1"),
    Tool("pdftotext pdfinfo pdftoppm pdfimages pdftops", "-upw -opw"),
    Tool("openssl", "-k -K -passin -passout -pass -password"),
    Tool("keytool jarsigner apksigner", "-new --ks-pass --key-pass"),
    Tool("signtool osslsigncode azuresigntool", "/p -pass -kvs"),
    Tool("pk12util", "-W -K"),
    Tool("certutil steghide", "-p"),
    Tool("ccrypt ccencrypt ccdecrypt", "-K --key"),
    Tool("mcrypt", "-k --key"),
    Tool("security", "-p -w"),
    Tool(
        "htpasswd",
        after=(
            "-b:3 -nb:2 -bn:2 -cb:3 -bc:3 -bB:3 -Bb:3 -nbB:2 -bnB:2 -Bbn:2 -cbB:3 -bcB:3 -mb:3"
            " -bm:3"
        ),
    ),
    Tool("wpa_passphrase", after="wpa_passphrase:2"),
    Tool("useradd usermod", "-p"),
    # --- Directories, mail, queues ---------------------------------------------------------------
    Tool(
        "ldapsearch ldapadd ldapmodify ldapdelete ldappasswd ldapwhoami ldapcompare ldapmodrdn"
        " ldapexop",
        "-w",
    ),
    Tool("ldappasswd", "-s -a"),
    Tool("swaks", "-ap"),
    Tool("sendemail", "-xp"),
    Tool("mosquitto_pub mosquitto_sub mosquitto_rr", "-P --pw"),
    Tool("mosquitto_passwd", after="-b:3"),
    Tool("mqtt", "-pw"),
    Tool("rabbitmqctl", after="add_user:2 change_password:2 authenticate_user:2"),
    Tool("rabbitmqadmin", "-p"),
    Tool("snmpwalk snmpget snmpset snmpbulkwalk snmptrap snmpbulkget snmptable", "-A -X -c"),
    Tool("ipmitool", "-P"),
    Tool("ipmi-sensors ipmipower bmc-config", "-p"),
    # --- Windows ---------------------------------------------------------------------------------
    Tool("xfreerdp xfreerdp3 wfreerdp sdl-freerdp", "/p /gp"),
    Tool("rdesktop", "-p"),
    Tool("psexec psexec64 pskill pslist psservice paexec", "-p"),
    Tool("schtasks", "/rp /p"),
    Tool("cmdkey", "/pass"),
    Tool("winrs", "-p /p"),
    Tool("dtexec", "/de /decrypt"),
    Tool("netdom", "/passwordd /passwordo /pd /po"),
    # --- Containers and clouds -------------------------------------------------------------------
    Tool("docker podman nerdctl buildah skopeo crane oras regctl helm finch", "-p", needs="login"),
    Tool("az oc cf", "-p", needs="login"),
    Tool("cf", after="auth:2"),
    Tool("saml2aws", "-p"),
    Tool("vault", after="login:1 unseal:1 unwrap:1"),
    Tool("doctl", "-t", needs="auth"),
    Tool("ngrok", after="authtoken:1 add-authtoken:1"),
    Tool("cloudflared", after="install:1"),
    # --- Developers' tools -----------------------------------------------------------------------
    Tool("nuget", after="setapikey:1"),
    Tool("dotnet", "-k", needs="push"),
    Tool("twine", "-p"),
    Tool("uv poetry", "-p -t", needs="publish"),
    Tool("poetry", after="pypi-token.:1 http-basic.:2"),
    Tool("composer", after="github-oauth.:1 gitlab-token.:1 http-basic.:2 bearer.:1"),
    Tool("cargo wandb huggingface-cli hf", after="login:1"),
    Tool("snyk", after="auth:1"),
    Tool("tabcmd tsm", "-p", needs="login"),
    Tool("gh glab", "-b --body", needs="set"),
    Tool("p4", "-P"),
    Tool("codecov", "-t"),
    Tool("nmcli", after="password:1 psk:1"),
    Tool("bw", after="unlock:1"),
    Tool("transmission-remote", split="-n: --auth:"),
    Tool("etcdctl", split="--user:"),
    Tool("swift", "-K --key"),
)
