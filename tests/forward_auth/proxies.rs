//! A proxy under the configuration that `portcullis snippet` prints, between a client and a server.

use std::{fs, net::SocketAddr, process::Command};

use tempfile::TempDir;

use crate::program::{self, Program};
use crate::support::{
    gateway::{Gateway, Reply, plain_client},
    home::Home,
    process::Process,
};
use crate::upstream::{Received, Upstream};

pub struct Place {
    pub home: Home,
    gateway: Option<Gateway>,
    upstream: Upstream,
    _proxy: Process,
    _folder: TempDir,
    listen: SocketAddr,
}

impl Place {
    /// `None` where the program is not installed.
    pub fn new(program: Program) -> Option<Self> {
        let found = program.found()?;
        let home = Home::new();
        let upstream = Upstream::start();
        let url = format!("http://{}/mcp", upstream.address);
        let gateway = Gateway::start(&home, &url, &[]);
        let listen = program::free_address();
        let snippet = |of: &str| {
            let admin = gateway.admin.trim_start_matches("http://");
            let listen = listen.to_string();
            let ended =
                home.run(&["snippet", of, "--admin-listen", admin, "--upstream", &url, "--listen", &listen]);
            assert_eq!(ended.code, 0, "{}", ended.errors);
            ended.output
        };
        let folder = TempDir::new().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("the folder is writable");
        };
        let mut command = Command::new(found);
        command.current_dir(&folder).env("HOME", folder.path());
        match program {
            Program::Nginx => {
                write("portcullis.conf", &snippet("nginx"));
                write("nginx.conf", NGINX);
                command.arg("-e").arg("stderr").arg("-p").arg(folder.path()).args(["-c", "nginx.conf"]);
            }
            Program::Caddy => {
                write("Caddyfile", &format!("{CADDY}\n{}", snippet("caddy")));
                command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
                for folder_of in ["XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
                    command.env(folder_of, folder.path());
                }
            }
            Program::Haproxy => {
                write("portcullis.lua", &snippet("haproxy-lua"));
                write("haproxy.cfg", &snippet("haproxy"));
                command.args(["-db", "-f", "haproxy.cfg"]);
            }
        }
        let proxy = Process::start(&mut command);
        let place = Self { home, gateway: Some(gateway), upstream, _proxy: proxy, _folder: folder, listen };
        program::wait_until_it_listens(listen);
        Some(place)
    }

    /// What the proxy answers.
    pub fn ask(&self, method: &str, target: &str, headers: &[(&str, String)], body: &str) -> Reply {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("http://{}{target}", self.listen);
        let mut request = plain_client().request(method, url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        Reply::of(request.send().expect("the proxy answers"))
    }

    /// Every request that reached the server since the last time.
    pub fn received(&self) -> Vec<Received> {
        self.upstream.received()
    }

    pub fn stop_gateway(&mut self) {
        self.gateway.take().expect("it runs").stop();
    }
}

/// What stands around the printed part of the configuration.
const NGINX: &str = "daemon off; master_process off; error_log stderr; pid nginx.pid; events {}\n\
    http { access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; \
    uwsgi_temp_path uwsgi; scgi_temp_path scgi; include portcullis.conf; }\n";
const CADDY: &str = "{\n\tadmin off\n}\n";
