#include "unit.hpp"

#include <zmq.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>

namespace icv {
namespace {

constexpr std::uint32_t kProtocol = 1;                    // version of the conversation
constexpr std::int64_t kMaxFrameBytes = 8 * 1024 * 1024;  // larger ones are never received
constexpr int kSliceMs = 100;  // how long one receive waits before we look whether the simulation is still there

[[noreturn]] void fail(const std::string& what) { throw UnitError(what + ": " + zmq_strerror(zmq_errno())); }

struct CloseSocket {
  void operator()(void* socket) const { zmq_close(socket); }
};
struct CloseContext {
  void operator()(void* context) const { zmq_ctx_term(context); }  // waits until the last words are out, or LINGER is over
};
using Context = std::unique_ptr<void, CloseContext>;
using Socket = std::unique_ptr<void, CloseSocket>;

template <typename Value>
void set(void* socket, int option, Value value) {
  if (zmq_setsockopt(socket, option, &value, sizeof value) != 0) fail("socket option");
}

void set_key(void* socket, int option, const std::string& z85) {
  if (zmq_setsockopt(socket, option, z85.c_str(), z85.size() + 1) != 0) fail("CURVE key");
}

/// One frame, or nothing when none came within kSliceMs.
std::optional<std::string> receive(void* socket) {
  zmq_msg_t message;
  zmq_msg_init(&message);
  std::optional<std::string> data;
  if (zmq_msg_recv(&message, socket, 0) >= 0) {
    data.emplace(static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message));
  }
  const int error = data ? 0 : zmq_errno();
  const bool is_more = data && zmq_msg_more(&message) != 0;
  zmq_msg_close(&message);
  if (is_more) throw UnitError("a message of several frames; expected one");
  if (error != 0 && error != EAGAIN && error != EINTR) throw UnitError(std::string("receive: ") + zmq_strerror(error));
  return data;
}

void send(void* socket, const v1::FromUnit& message) {
  const std::string data = message.SerializeAsString();
  if (zmq_send(socket, data.data(), data.size(), 0) < 0) fail("send");
}

Socket connect(void* context, const Options& options) {
  Socket socket(zmq_socket(context, ZMQ_DEALER));
  if (!socket) fail("socket");
  set(socket.get(), ZMQ_LINGER, 500);  // last words get half a second
  set(socket.get(), ZMQ_RCVTIMEO, kSliceMs);
  set(socket.get(), ZMQ_MAXMSGSIZE, kMaxFrameBytes);
  set(socket.get(), ZMQ_HEARTBEAT_IVL, 2'000);  // notices a cable that was pulled
  set(socket.get(), ZMQ_HEARTBEAT_TIMEOUT, 30'000);
  set(socket.get(), ZMQ_IPV6, static_cast<int>(options.address.find('[') != std::string::npos));
  if (!options.keys.own_secret.empty()) {
    set_key(socket.get(), ZMQ_CURVE_SERVERKEY, options.keys.server_public);
    set_key(socket.get(), ZMQ_CURVE_PUBLICKEY, options.keys.own_public);
    set_key(socket.get(), ZMQ_CURVE_SECRETKEY, options.keys.own_secret);
  }
  return socket;
}

/// Tells when the connection is lost; otherwise ZeroMQ would quietly try for ever.
Socket watch(void* context, void* socket) {
  constexpr auto kPlace = "inproc://unit-monitor";
  if (zmq_socket_monitor(socket, kPlace, ZMQ_EVENT_DISCONNECTED) != 0) fail("monitor");
  Socket monitor(zmq_socket(context, ZMQ_PAIR));
  if (!monitor || zmq_connect(monitor.get(), kPlace) != 0) fail("monitor");
  set(monitor.get(), ZMQ_LINGER, 0);
  return monitor;
}

bool has_event(void* monitor) {
  char buffer[16];
  return zmq_recv(monitor, buffer, sizeof buffer, ZMQ_DONTWAIT) >= 0;
}

/// What the callbacks throw is said plainly now instead of found out by a time limit.
template <typename Work>
void or_give_up(void* socket, const Work& work) {
  try {
    work();
  } catch (const std::exception& error) {
    v1::FromUnit message;
    message.mutable_failed()->set_reason(std::string(error.what()).substr(0, 500));
    send(socket, message);
    throw;
  }
}

}  // namespace

std::string serve(const Options& options, const OnTick& on_tick, const OnWelcome& on_welcome) {
  using Clock = std::chrono::steady_clock;  // bounds the waiting only; nothing that is answered may depend on a clock
  const Context context(zmq_ctx_new());
  if (!context) fail("context");
  const Socket socket = connect(context.get(), options);
  const Socket monitor = watch(context.get(), socket.get());
  if (zmq_connect(socket.get(), options.address.c_str()) != 0) fail(options.address);

  v1::FromUnit out;
  v1::Hello& hello = *out.mutable_hello();
  hello.set_protocol(kProtocol);
  hello.set_unit(options.name);
  hello.set_software(options.software);
  for (const std::string& topic : options.topics) hello.add_topic(topic);
  send(socket.get(), out);

  const auto give_up_at = Clock::now() + std::chrono::duration<double>(options.join_s);
  bool is_welcome = false;
  v1::Welcome welcome;  // kept: after a Reset the unit starts over from it
  v1::ToUnit in;  // kept, so that its columns keep their memory from tick to tick
  for (;;) {
    const std::optional<std::string> data = receive(socket.get());
    if (!data) {
      if (is_welcome && has_event(monitor.get())) throw UnitError("the simulation at " + options.address + " has gone away");
      if (!is_welcome && Clock::now() > give_up_at) {
        throw UnitError("no simulation answered at " + options.address +
                        " in time. Is `icv run --bus zmq` listening there, and does it know our key?");
      }
      continue;
    }
    if (!in.ParseFromString(*data)) throw UnitError(std::to_string(data->size()) + " bytes are not a ToUnit message");
    switch (in.body_case()) {
      case v1::ToUnit::kWelcome:
        is_welcome = true;
        welcome = in.welcome();
        if (on_welcome) or_give_up(socket.get(), [&] { on_welcome(welcome); });
        break;
      case v1::ToUnit::kReset:
        if (on_welcome) or_give_up(socket.get(), [&] { on_welcome(welcome); });
        break;
      case v1::ToUnit::kRefused:
        throw UnitError("refused: " + in.refused().reason());
      case v1::ToUnit::kTick:
        if (!is_welcome) throw UnitError(options.address + " sent a tick before a welcome");
        out.Clear();
        out.mutable_answer()->set_tick(in.tick().tick());  // exactly the tick that was asked
        or_give_up(socket.get(), [&] { on_tick(in.tick(), *out.mutable_answer()); });
        send(socket.get(), out);
        break;
      case v1::ToUnit::kEnd:
        return in.end().outcome();
      case v1::ToUnit::BODY_NOT_SET:
        break;  // a body of a later version
    }
  }
}

void put_on_air(v1::Answer& answer, const std::string& topic, const google::protobuf::MessageLite& message) {
  v1::Send& item = *answer.add_send();
  item.set_topic(topic);
  item.set_payload(message.SerializeAsString());
}

Keys read_keys(const std::string& folder, const std::string& name) {
  const auto value = [&](const std::string& file, const std::string& which) {
    std::ifstream in(folder + "/" + file);
    for (std::string line; std::getline(in, line);) {
      const std::size_t at = line.find(which + "-key = \"");
      if (at == std::string::npos) continue;
      const std::size_t begin = line.find('"', at) + 1;
      if (line.size() > begin + 40 && line[begin + 40] == '"') return line.substr(begin, 40);
    }
    throw std::runtime_error(folder + "/" + file + ": holds no " + which + " key");
  };
  return {value("icv.key", "public"), value(name + ".key_secret", "public"), value(name + ".key_secret", "secret")};
}

}  // namespace icv
