mod fetching;
mod keeping;
mod server;
