# SPDX-License-Identifier: LGPL-2.1-or-later
"""Answers as polkitd does, by rules that a test gives: {uid: {"hidden": name of a
domain that may not be touched, "deny": [actions]}}. Root may do everything, users with
a rule may look at the rest, and nobody else may do anything: the daemon runs as root."""

import json
import sys

from gi.repository import Gio, GLib

INTERFACE = """
<node><interface name="org.freedesktop.PolicyKit1.Authority"><method name="CheckAuthorization">
  <arg type="(sa{sv})" name="subject" direction="in"/><arg type="s" name="action_id" direction="in"/>
  <arg type="a{ss}" name="details" direction="in"/><arg type="u" name="flags" direction="in"/>
  <arg type="s" name="cancellation_id" direction="in"/><arg type="(bba{ss})" name="result" direction="out"/>
</method></interface></node>"""


LOOKING = (".getattr", ".read", ".search-domains", ".unix.manage", ".unix.monitor")


def allowed(rules, uid, action, details):
    rule = rules.get(str(uid))
    if rule is None or not action.endswith(LOOKING):
        return uid == 0
    if details.get("domain_name") and details["domain_name"] == rule["hidden"]:
        return False
    return action not in rule["deny"]


def main():
    address, rules = sys.argv[1], json.loads(sys.argv[2])
    connection = Gio.DBusConnection.new_for_address_sync(
        address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)

    def called(_connection, _sender, _path, _interface, _method, parameters, invocation):
        (_, subject), action, details, _, _ = parameters.unpack()
        answer = allowed(rules, subject.get("uid"), action, details)
        invocation.return_value(GLib.Variant("((bba{ss}))", ((answer, False, {}),)))

    node = Gio.DBusNodeInfo.new_for_xml(INTERFACE)
    connection.register_object("/org/freedesktop/PolicyKit1/Authority", node.interfaces[0], called, None, None)
    Gio.bus_own_name_on_connection(connection, "org.freedesktop.PolicyKit1", Gio.BusNameOwnerFlags.NONE,
                                   lambda *_: print("ready", flush=True), None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
