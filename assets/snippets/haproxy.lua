-- Asks Portcullis about a request; see haproxy.cfg, of which this is a part. The body is not read: it waits for the
-- answer. No variable is set where there is no answer.

local asked_with = {
    "authorization", "dpop", "x-api-key", "x-api-key-id", "x-api-key-secret", "origin",
    "access-control-request-method", "access-control-request-headers",
    "mcp-protocol-version", "mcp-method", "mcp-name",
}

local told = {
    portcullis_issuer = "x-portcullis-issuer",
    portcullis_subject = "x-portcullis-subject",
    portcullis_credential = "x-portcullis-credential",
    portcullis_scopes = "x-portcullis-scopes",
    portcullis_request_id = "x-portcullis-request-id",
    portcullis_retry_after = "retry-after",
    portcullis_challenge = "www-authenticate",
    -- Of a page that may call, and of its question before the real request.
    portcullis_page = "access-control-allow-origin",
    portcullis_page_reads = "access-control-expose-headers",
    portcullis_preflight = "access-control-allow-methods",
    portcullis_preflight_headers = "access-control-allow-headers",
}

-- HAProxy counts the values of a field from 0.
local function values(field)
    local all = {}
    if field ~= nil then
        local index = 0
        while field[index] ~= nil do
            all[#all + 1] = field[index]
            index = index + 1
        end
    end
    return all
end

core.register_action("portcullis_verify", { "http-req" }, function(txn)
    local sent = txn.http:req_get_headers()
    local headers = {
        ["host"] = { "{{admin}}" },
        ["x-forwarded-method"] = { txn.f:method() },
        ["x-forwarded-uri"] = { txn.f:pathq() },
        ["x-forwarded-for"] = { tostring(txn.f:src()) },
    }
    for _, name in ipairs(asked_with) do
        local all = values(sent[name])
        if #all > 0 then
            headers[name] = all
        end
    end
    local answer = core.httpclient():get { url = "http://{{admin}}/verify", headers = headers, timeout = 5000 }
    if answer == nil or answer.status == nil or answer.status == 0 then
        return
    end
    for variable, name in pairs(told) do
        local value = values(answer.headers and answer.headers[name])[1]
        if value ~= nil then
            txn:set_var("txn." .. variable, value)
        end
    end
    txn:set_var("txn.portcullis_body", answer.body or "")
    txn:set_var("txn.portcullis_status", answer.status)
end, 0)
