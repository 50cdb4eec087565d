//! What an error message says, without where in a runtime's sources it was said.

use super::quantity;

/// The message in one line of at most `most` characters. ONNX Runtime begins with its API, a number, the source file and
/// the function's signature, and says what is the matter where lists have long cut the message; all of that is in the JSON.
pub(crate) fn gist(message: &str, most: usize) -> String {
    let api =
        ["Can't create a session. ", "failed to call OrtRun(). "].iter().find_map(|api| message.strip_prefix(api));
    let Some((_, said)) = api.and_then(|rest| rest.split_once("ERROR_MESSAGE: ")) else {
        return quantity::one_line(message, most);
    };
    match node(said) {
        Some((operator, said)) => quantity::one_line(&format!("{operator}: {}", without_place(said)), most),
        None => quantity::one_line(without_place(said), most),
    }
}

/// The operator of the node that failed, and what follows.
fn node(said: &str) -> Option<(&str, &str)> {
    let (node, said) =
        said.strip_prefix("Non-zero status code returned while running ")?.split_once(" Status Message: ")?;
    Some((node.split(' ').next()?, said))
}

/// What follows the source file, the function, and the condition that was not met, where there are any.
fn without_place(said: &str) -> &str {
    let Some((place, rest)) = said.split_once(' ') else { return said };
    let is_source = place.rsplit_once(':').is_some_and(|(file, line)| {
        let code = [".cc", ".cpp", ".h"].iter().any(|end| file.ends_with(end));
        code && !line.is_empty() && line.chars().all(|digit| digit.is_ascii_digit())
    });
    if !is_source {
        return said;
    }
    let rest = after_signature(rest).trim_start();
    match rest.split_once(" was false. ") {
        Some((_, why)) if !why.trim().is_empty() => why,
        _ => rest,
    }
}

/// What follows a function: its name alone, or all that a compiler says of it, such as
/// `Status ns::Type<T>::name(const Tensor *) const [T = float]`.
fn after_signature(said: &str) -> &str {
    let Some(open) = said.find('(').filter(|open| said[..*open].contains("::")) else {
        return said.split_once(' ').map_or(said, |(_, rest)| rest);
    };
    let mut depth = 0_usize;
    let close = said[open..].find(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let Some(close) = close else { return said };
    let rest = said[open + close + 1..].trim_start();
    let rest = rest.strip_prefix("const ").unwrap_or(rest);
    rest.strip_prefix('[').and_then(|types| types.split_once("] ")).map_or(rest, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::gist;

    #[test]
    fn what_the_runtime_says_comes_first() {
        let load = |said: &str| gist(&format!("Can't create a session. ERROR_CODE: 1, ERROR_MESSAGE: {said}\n"), 200);
        let model = "/agent/1/s/onnxruntime/core/graph/model.cc:203 onnxruntime::Model::Model(ModelProto &&, const PathString &, \
                     const logging::Logger &) Unsupported model IR version: 14, max supported IR version: 13";
        assert_eq!(load(model), "Unsupported model IR version: 14, max supported IR version: 13");
        let kept = "/agent/core/optimizer/transformer_memcpy.cc:254 bool onnxruntime::Impl::IsCompatible(const onnxruntime::Node &) \
                    const !node_provider_type.empty() was false. Provider type for Cast node with name '' is not set.";
        assert_eq!(load(kept), "Provider type for Cast node with name '' is not set.");
        let of_type = "/agent/core/providers/cpu/rnn/rnn.h:44 onnxruntime::RNN<float>::RNN(const OpKernelInfo &) [T = float] \
                       layout_ == 0 was false. Batchwise recurrent operations are not supported.";
        assert_eq!(load(of_type), "Batchwise recurrent operations are not supported.");
        assert_eq!(
            load("Could not find an implementation for Pow(15) node with name ''"),
            "Could not find an implementation for Pow(15) node with name ''"
        );
        let run = "failed to call OrtRun(). ERROR_CODE: 1, ERROR_MESSAGE: Non-zero status code returned while running Cast node. \
                   Name:'c' Status Message: shader_helper.cc:416 GenerateSourceCode Program Cast requires f16 but the device does not support it.";
        assert_eq!(gist(run, 200), "Cast: Program Cast requires f16 but the device does not support it.");
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        for message in [
            "output `Y` at [0, 1] is 4, expected 3.14; 1 of 2 elements differ",
            "NotSupportedError: no dilations. (Can't create a session. ERROR_CODE: 1, ERROR_MESSAGE: Failed to build WebNN graph.)",
            "Can't create a session. ERROR_CODE: 1, ERROR_MESSAGE:",
            "",
        ] {
            assert_eq!(gist(message, 200), message);
        }
        assert_eq!(gist("Can't create a session. ERROR_CODE: 1, ERROR_MESSAGE: a.cc:1 b::c(d", 200), "b::c(d");
        assert_eq!(gist("failed to call OrtRun(). ERROR_CODE: 1, ERROR_MESSAGE: ", 200), "");
        assert_eq!(gist("first\nsecond", 3), "fir…");
    }
}
