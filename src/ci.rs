//! What the environment says of the continuous integration that this runs in.

use crate::{history::RunInfo, report::CiRun};

/// What is known of the commit, its branch and the job, here and now: from the variables of GitHub Actions, GitLab CI and
/// Jenkins, for any other CI (`CI` is set) from the names that several of them use, and from git for what they do not say.
pub fn detect() -> CiRun {
    let mut run = recognise(|name| std::env::var(name).ok());
    if run.commit.is_none() || run.branch.is_none() {
        let git = RunInfo::detect("ci");
        run.commit = run.commit.or(git.git_commit);
        run.branch = run.branch.or(git.git_branch);
    }
    run
}

/// What the variables say; the system is `None` when they are of no CI.
pub fn recognise(variable: impl Fn(&str) -> Option<String>) -> CiRun {
    let said = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let first = |names: &[&str]| names.iter().find_map(|name| said(name));
    let is_on = |name: &str| said(name).is_some_and(|value| value != "false" && value != "0");
    if is_on("GITHUB_ACTIONS") {
        let address = [said("GITHUB_SERVER_URL"), said("GITHUB_REPOSITORY"), said("GITHUB_RUN_ID")];
        let url = match address {
            [Some(server), Some(repository), Some(run)] => Some(format!("{server}/{repository}/actions/runs/{run}")),
            _ => None,
        };
        return CiRun {
            system: Some("github-actions".to_owned()),
            commit: said("GITHUB_SHA"),
            // On a pull request the ref is that of its merge; the head is the branch somebody works on.
            branch: first(&["GITHUB_HEAD_REF", "GITHUB_REF_NAME"]),
            job: said("GITHUB_JOB"),
            url,
        };
    }
    if is_on("GITLAB_CI") {
        return CiRun {
            system: Some("gitlab-ci".to_owned()),
            commit: said("CI_COMMIT_SHA"),
            branch: first(&["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_BRANCH", "CI_COMMIT_REF_NAME"]),
            job: said("CI_JOB_NAME"),
            url: first(&["CI_JOB_URL", "CI_PIPELINE_URL"]),
        };
    }
    if said("JENKINS_URL").is_some() {
        let branch = first(&["CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"]);
        return CiRun {
            system: Some("jenkins".to_owned()),
            commit: said("GIT_COMMIT"),
            // The git plugin names the remote, too.
            branch: branch.map(|branch| branch.strip_prefix("origin/").map(str::to_owned).unwrap_or(branch)),
            job: said("JOB_NAME"),
            url: said("BUILD_URL"),
        };
    }
    if !is_on("CI") {
        return CiRun::default();
    }
    CiRun {
        system: Some("unknown".to_owned()),
        commit: first(&["CI_COMMIT_SHA", "COMMIT_SHA", "GIT_COMMIT"]),
        branch: first(&["CI_COMMIT_BRANCH", "BRANCH_NAME", "GIT_BRANCH"]),
        job: first(&["CI_JOB_NAME", "JOB_NAME"]),
        url: first(&["CI_JOB_URL", "JOB_URL", "BUILD_URL"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> CiRun {
        recognise(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn run([system, commit, branch, job, url]: [&str; 5]) -> CiRun {
        let [system, commit, branch, job, url] =
            [system, commit, branch, job, url].map(|text| (!text.is_empty()).then(|| text.to_owned()));
        CiRun { system, commit, branch, job, url }
    }

    #[test]
    fn github_actions() {
        let push = [
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SHA", "c0ffee"),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_HEAD_REF", ""),
            ("GITHUB_JOB", "report"),
            ("GITHUB_SERVER_URL", "https://github.example"),
            ("GITHUB_REPOSITORY", "them/models"),
            ("GITHUB_RUN_ID", "7"),
        ];
        let url = "https://github.example/them/models/actions/runs/7";
        assert_eq!(of(&push), run(["github-actions", "c0ffee", "main", "report", url]));
        let mut pull_request = push;
        (pull_request[3].1, pull_request[4].1) = ("12/merge", "faster-conv");
        assert_eq!(of(&pull_request).branch.as_deref(), Some("faster-conv"));
        assert_eq!(of(&push[..3]), run(["github-actions", "c0ffee", "", "", ""]));
    }

    #[test]
    fn gitlab_ci() {
        let tag = [
            ("CI", "true"),
            ("GITLAB_CI", "true"),
            ("CI_COMMIT_SHA", "c0ffee"),
            ("CI_COMMIT_REF_NAME", "v1"),
            ("CI_JOB_NAME", "matrix 1/4"),
            ("CI_JOB_URL", "https://gitlab.example/jobs/7"),
        ];
        assert_eq!(of(&tag), run(["gitlab-ci", "c0ffee", "v1", "matrix 1/4", "https://gitlab.example/jobs/7"]));
    }

    #[test]
    fn jenkins() {
        let branch = [
            ("JENKINS_URL", "https://jenkins.example/"),
            ("GIT_COMMIT", "c0ffee"),
            ("GIT_BRANCH", "origin/main"),
            ("JOB_NAME", "nightly"),
            ("BUILD_URL", "https://jenkins.example/job/nightly/7/"),
        ];
        let expected = run(["jenkins", "c0ffee", "main", "nightly", "https://jenkins.example/job/nightly/7/"]);
        assert_eq!(of(&branch), expected);
    }

    #[test]
    fn any_other_and_none() {
        let other = [("CI", "1"), ("GIT_COMMIT", "c0ffee"), ("BUILD_URL", "https://ci.example/7")];
        assert_eq!(of(&other), run(["unknown", "c0ffee", "", "", "https://ci.example/7"]));
        assert_eq!(of(&[("CI", "false"), ("GIT_COMMIT", "c0ffee")]), CiRun::default());
        assert_eq!(of(&[]), CiRun::default());
    }
}
